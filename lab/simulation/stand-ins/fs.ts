// For the product's modules in the place of node:fs: synchronous calls on the disk of the process that runs.
import * as real from "node:fs";
import { simulation } from "../core/simulation.ts";
import { errno } from "../disk/disk.ts";
import { changing, closing, here } from "../disk/here.ts";

export const constants = real.constants;

export function openSync(path: string, flags: string | number = "r"): number {
  const reads = flags === "r" || flags === 0;
  const disk = reads ? here().disk : changing(`open ${path}`);
  return disk.openFile(path, flags, here().actor);
}

const fileOf = (n: number) => {
  const open = here().disk.open.get(n);
  if (!open) throw errno("EBADF", "fd", String(n));
  return open;
};

export function writeFileSync(target: number | string, text: string): void {
  const disk = changing("write");
  if (disk.isFull) throw errno("ENOSPC", "write", String(target));
  const inode = typeof target === "number" ? fileOf(target).inode! : (disk.files.get(target) ?? disk.make(target));
  inode.text += text;
  inode.mtimeMs = simulation().wallMs;
}

export function fdatasyncSync(n: number): void {
  changing("fdatasync");
  const { inode } = fileOf(n);
  if (inode) inode.synced = inode.text;
}

export function fsyncSync(n: number): void {
  const disk = changing("fsync");
  const { inode, dir } = fileOf(n);
  if (inode) inode.synced = inode.text;
  if (dir !== undefined) disk.syncDir(dir);
}

export const closeSync = closing;

export function fstatSync(n: number) {
  const { inode } = fileOf(n);
  return { size: inode?.text.length ?? 0, ino: inode?.ino ?? 1, mtimeMs: inode?.mtimeMs ?? 0 };
}

export function ftruncateSync(n: number, size: number): void {
  changing("ftruncate");
  const { inode } = fileOf(n);
  if (inode) inode.text = inode.text.slice(0, size);
}

export function readdirSync(dir: string): string[] {
  const { disk } = here();
  if (!disk.dirs.has(dir)) throw errno("ENOENT", "scandir", dir);
  const prefix = dir === "/" ? "/" : `${dir}/`;
  const names = [...disk.files.keys()]
    .filter((path) => path.startsWith(prefix))
    .map((path) => path.slice(prefix.length));
  return names.filter((name) => !name.includes("/")).sort();
}

export function readFileSync(path: string): string {
  const { disk, virtual } = here();
  const text = disk.files.get(path)?.text ?? virtual(path);
  if (text === undefined) throw errno("ENOENT", "open", path);
  return text;
}

export function renameSync(from: string, to: string): void {
  const disk = changing(`rename ${to}`);
  const inode = disk.files.get(from);
  if (!inode) throw errno("ENOENT", "rename", from);
  disk.files.delete(from);
  disk.files.set(to, inode);
}

export function linkSync(from: string, to: string): void {
  const disk = changing(`link ${to}`);
  const inode = disk.files.get(from);
  if (!inode) throw errno("ENOENT", "link", from);
  if (disk.files.has(to)) throw errno("EEXIST", "link", to);
  disk.files.set(to, inode);
}

export function rmSync(path: string, { force = false } = {}): void {
  const disk = changing(`rm ${path}`);
  if (!disk.files.delete(path) && !force) throw errno("ENOENT", "rm", path);
}

export const unlinkSync = (path: string): void => rmSync(path);

export function mkdirSync(path: string): string | undefined {
  const disk = changing(`mkdir ${path}`);
  let first: string | undefined;
  const parts = path.split("/").filter(Boolean);
  for (let i = 1; i <= parts.length; i++) {
    const dir = `/${parts.slice(0, i).join("/")}`;
    if (disk.dirs.has(dir)) continue;
    disk.dirs.add(dir);
    first ??= dir;
  }
  return first;
}

export function statSync(path: string, { throwIfNoEntry = true } = {}) {
  const { disk } = here();
  const inode = disk.files.get(path);
  if (inode) return { ino: inode.ino, mtimeMs: inode.mtimeMs, size: inode.text.length };
  if (disk.dirs.has(path)) return { ino: 1, mtimeMs: 0, size: 0 };
  if (throwIfNoEntry) throw errno("ENOENT", "stat", path);
  return undefined;
}

export const existsSync = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

export function readlinkSync(path: string): string {
  throw errno(existsSync(path) ? "EINVAL" : "ENOENT", "readlink", path);
}

export function accessSync(path: string): void {
  if (!existsSync(path)) throw errno("ENOENT", "access", path);
}

const noSuchCall = (name: string) => (): never => {
  throw new Error(`the simulated disk has no ${name}`);
};
export const readSync = noSuchCall("readSync");
export const writeSync = noSuchCall("writeSync");
