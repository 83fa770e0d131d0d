import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../../kernel/errno.ts";
import type { Item } from "./collect.ts";

const MISSING = ["ENOENT", "ENOTDIR", "ENODEV", "EOPNOTSUPP"];

/** Undefined if it does not exist. @throws {Error} for what exists and cannot be read. */
export function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (MISSING.includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** The end of a file, in complete lines. No more than that is read. */
function tailOf(path: string, bytes: number): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const from = Math.max(0, size - bytes);
    const piece = Buffer.alloc(Math.min(size, bytes));
    const length = readSync(file, piece, 0, piece.length, from);
    const text = piece.toString("utf8", 0, length);
    return from > 0 ? text.slice(text.indexOf("\n") + 1) : text;
  } finally {
    closeSync(file);
  }
}

/** For files in sysfs and procfs, which report a size of 0 or 4096 bytes. */
export function smallFile(path: string): string {
  const file = openSync(path, "r");
  try {
    const piece = Buffer.alloc(64 << 10);
    return piece.toString("utf8", 0, readSync(file, piece, 0, piece.length, null));
  } finally {
    closeSync(file);
  }
}

export const fileItem = (path: string, from: string, bytes: number): Item => ({
  path,
  read: async () => ifThere(() => tailOf(from, bytes)),
});

/** `mode size time name`, one line each, for a directory and those below it. */
export const listing = (path: string, folder: string, depth: number): Item => ({
  path,
  read: async () => ifThere(() => linesOf(folder, "", depth).join("\n").concat("\n")),
});

function linesOf(folder: string, below: string, depth: number): string[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((one) => {
      const name = join(below, one.name);
      const line = lineOf(join(folder, name), name, one.isSymbolicLink());
      return one.isDirectory() && depth > 1
        ? [line, ...(ifThere(() => linesOf(folder, name, depth - 1)) ?? [])]
        : [line];
    });
}

function lineOf(path: string, name: string, isLink: boolean): string {
  const stat = ifThere(() => statSync(path));
  const target = isLink ? ` -> ${ifThere(() => readlinkSync(path))}` : "";
  if (!stat) return `- ${name}${target}`;
  return `${stat.mode.toString(8)} ${stat.size} ${stat.mtime.toISOString()} ${name}${target}`;
}

/** Limit on files of one directory in an archive: the newest. */
const MOST = 2_000;

/** Names in a directory; empty if it cannot be read: its listing() says why. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Files of a directory whose names match, newest first. */
export function newestOf(folder: string, isRight: (name: string) => boolean, most = MOST): string[] {
  const files = namesIn(folder)
    .filter(isRight)
    .flatMap((name) => {
      const stat = statSync(join(folder, name), { throwIfNoEntry: false });
      return stat?.isFile() ? [{ name, at: stat.mtimeMs }] : [];
    });
  return files
    .toSorted((a, b) => b.at - a.at)
    .slice(0, most)
    .map(({ name }) => name);
}
