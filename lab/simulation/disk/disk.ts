import { posix } from "node:path";
import type { Actor } from "../core/actor.ts";
import type { Random } from "../core/random.ts";
import { simulation } from "../core/simulation.ts";

export interface Inode {
  readonly ino: number;
  text: string;
  /** On the platter; undefined: nothing of it. */
  synced: string | undefined;
  mtimeMs: number;
  lockedBy: OpenFile | undefined;
}

/** Either a file or a directory. */
export interface OpenFile {
  readonly n: number;
  readonly inode: Inode | undefined;
  readonly dir: string | undefined;
  readonly actor: Actor;
}

/** A node's disk. What was not synced may be gone after a power cut, each name and each content for itself. */
export class Disk {
  files = new Map<string, Inode>();
  dirs = new Set<string>(["/"]);
  readonly open = new Map<number, OpenFile>();
  isFull = false;
  /** Called before each operation that changes something; may kill whoever does it. */
  onChange: (what: string) => void = () => {};
  /** Names on the platter. */
  #durable = new Map<string, Inode>();
  #nextIno = 100;
  #nextFd = 3;

  /** The end of a process: its descriptors are closed, and with them its locks go. */
  closeAllOf(actor: Actor): void {
    for (const [n, file] of this.open) if (file.actor === actor) this.close(n);
  }

  powerCut(random: Random): void {
    const names = new Map(this.#durable);
    for (const path of new Set([...this.files.keys(), ...names.keys()])) {
      if (!random.chance(0.5)) continue; // the platter's state stands
      const now = this.files.get(path);
      if (now) names.set(path, now);
      else names.delete(path);
    }
    this.files = new Map();
    for (const [path, inode] of names) {
      if (isVolatile(path)) continue;
      const text = leftOf(inode, random);
      this.files.set(path, { ...inode, text, synced: text, lockedBy: undefined });
    }
    this.#durable = new Map(this.files);
    this.open.clear();
  }

  wipe(): void {
    this.files.clear();
    this.#durable.clear();
    this.dirs = new Set(["/"]);
    this.open.clear();
  }

  /** @param flags as of fs.openSync(): `r`, 0, `w`, `wx`, `a`, or O_WRONLY and O_APPEND. */
  openFile(path: string, flags: string | number, actor: Actor): number {
    const reads = flags === "r" || flags === 0;
    if (reads && this.dirs.has(path)) return this.#descriptor({ inode: undefined, dir: path, actor });
    const found = this.files.get(path);
    const creates = typeof flags === "string" && flags !== "r";
    if (!found && !creates) throw errno("ENOENT", "open", path);
    if (found && flags === "wx") throw errno("EEXIST", "open", path);
    if (!found && !this.dirs.has(posix.dirname(path))) throw errno("ENOENT", "open", path);
    const inode = found ?? this.make(path);
    if (flags === "w") inode.text = "";
    return this.#descriptor({ inode, dir: undefined, actor });
  }

  make(path: string, text = ""): Inode {
    const { nowMs } = simulation();
    const inode: Inode = { ino: this.#nextIno++, text, synced: undefined, mtimeMs: nowMs, lockedBy: undefined };
    this.files.set(path, inode);
    return inode;
  }

  close(n: number): void {
    const file = this.open.get(n);
    if (file?.inode?.lockedBy === file && file?.inode) file.inode.lockedBy = undefined;
    this.open.delete(n);
  }

  /** The names in a directory are on the platter. */
  syncDir(dir: string): void {
    for (const path of new Set([...this.files.keys(), ...this.#durable.keys()])) {
      if (posix.dirname(path) !== dir) continue;
      const now = this.files.get(path);
      if (now) this.#durable.set(path, now);
      else this.#durable.delete(path);
    }
  }

  #descriptor(file: Omit<OpenFile, "n">): number {
    const n = this.#nextFd++;
    this.open.set(n, { n, ...file });
    return n;
  }
}

const isVolatile = (path: string): boolean => /^\/(var\/)?run\//.test(path);

/** All, what was synced, or a part of what was written since. */
function leftOf({ text, synced }: Inode, random: Random): string {
  if (text === synced || !random.chance(0.5)) return synced ?? "";
  return text.slice(0, random.int(text.length + 1));
}

export const errno = (code: string, call: string, path: string): Error =>
  Object.assign(new Error(`${code}: ${call} '${path}'`), { code });
