import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname } from "node:path";
import { type CrashState, crashStates, parseTrace, readTree } from "../../../lab/netns/crash-states.ts";

const real = { ...fs };
const inode = (path: string): string => String(real.lstatSync(path).ino);
const hex = (text: unknown): string => Buffer.from(String(text)).toString("hex");

/** Names and descriptors as of this process; `lines` as `disk-trace` writes them. */
function tracing(lines: string[]): Partial<typeof fs> {
  const opened = new Map<number, { ino: string; isAppending: boolean }>();
  const of = (fd: unknown) => opened.get(fd as number);
  const made = (path: string): void => {
    if (real.existsSync(path)) return;
    made(dirname(path));
    real.mkdirSync(path, { mode: 0o700 });
    lines.push(`mkdir ${path} ${inode(path)}`);
  };
  const gone = (path: string, remove: () => void) => {
    const ino = real.existsSync(path) ? inode(path) : undefined;
    remove();
    if (ino) lines.push(`unlink ${path} ${ino}`);
  };
  const sync = (fd: number) => void (of(fd) && lines.push(`sync ${of(fd)!.ino}`));
  return {
    openSync: ((path: string, flags: string | number, mode?: number) => {
      const wasThere = real.existsSync(path);
      const fd = real.openSync(path, flags, mode);
      opened.set(fd, { ino: inode(path), isAppending: typeof flags === "number" });
      if (!wasThere) lines.push(`open ${path} ${inode(path)} 0 1`);
      else if (flags === "w") lines.push(`open ${path} ${inode(path)} 0 0`);
      return fd;
    }) as typeof fs.openSync,
    writeFileSync: ((fd: number, text: string) => {
      const file = of(fd);
      const offset = file?.isAppending ? real.fstatSync(fd).size : 0;
      real.writeFileSync(fd, text);
      if (file) lines.push(`write ${file.ino} ${offset} ${hex(text)}`);
    }) as typeof fs.writeFileSync,
    ftruncateSync: (fd, size) => {
      real.ftruncateSync(fd, size);
      if (of(fd)) lines.push(`truncate ${of(fd)!.ino} ${size}`);
    },
    fdatasyncSync: sync,
    fsyncSync: sync,
    fsync: ((fd: number, done: (error: null) => void) => {
      sync(fd);
      setImmediate(done, null);
    }) as typeof fs.fsync,
    renameSync: ((from: string, to: string) => {
      const ino = inode(from);
      real.renameSync(from, to);
      lines.push(`rename ${from} ${to} ${ino}`);
    }) as typeof fs.renameSync,
    linkSync: ((from: string, to: string) => {
      real.linkSync(from, to);
      lines.push(`link ${to} ${inode(to)}`);
    }) as typeof fs.linkSync,
    unlinkSync: ((path: string) => gone(path, () => real.unlinkSync(path))) as typeof fs.unlinkSync,
    rmSync: ((path: string, options: fs.RmOptions) => gone(path, () => real.rmSync(path, options))) as typeof fs.rmSync,
    mkdirSync: ((path: string) => {
      let first: string | undefined;
      for (let at = path; !real.existsSync(at); at = dirname(at)) first = at;
      made(path);
      return first;
    }) as typeof fs.mkdirSync,
  };
}

/** Puts functions in the place of those of `node:fs`, for all who import it. */
export function replacing(some: Partial<typeof fs>): Disposable {
  const before = Object.fromEntries(Object.keys(some).map((name) => [name, fs[name as keyof typeof fs]]));
  Object.assign(fs, some);
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]: () => {
      Object.assign(fs, before);
      syncBuiltinESMExports();
    },
  };
}

/** @returns every state of the disk that a power cut during or after the work may leave; it has answered when it returned. */
export async function cutDuring(dir: string, work: () => unknown): Promise<CrashState[]> {
  const before = readTree(dir);
  const lines: string[] = [];
  {
    using _ = replacing(tracing(lines));
    await work();
  }
  return [...crashStates(before, parseTrace([...lines, "answer"].join("\n"), before))];
}

/** The text of a file in such a state; undefined: there is none. */
export const textIn = ({ tree }: CrashState, path: string): string | undefined => {
  const id = tree.names.get(path);
  return id === undefined ? undefined : tree.contents.get(id)?.toString();
};
