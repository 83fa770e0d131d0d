import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** One change of a traced command, by the lines of `disk-trace.c`. `id` names a file for as long as it exists. */
export type Change =
  | { readonly kind: "write"; readonly id: string; readonly offset: number; readonly data: Buffer }
  | { readonly kind: "truncate"; readonly id: string; readonly size: number }
  | { readonly kind: "enter"; readonly path: string; readonly id: string; readonly isDirectory: boolean }
  | { readonly kind: "leave"; readonly path: string; readonly id: string }
  | { readonly kind: "rename"; readonly from: string; readonly path: string; readonly id: string }
  | { readonly kind: "sync"; readonly id: string }
  | { readonly kind: "answer" };

/** Files and directories by absolute path; two names of one file share its content. */
export interface Tree {
  /** Name to file. */
  readonly names: ReadonlyMap<string, string>;
  /** File to content; a directory has none. */
  readonly contents: ReadonlyMap<string, Buffer | undefined>;
}

/** What may be on the disk after a power cut. */
export interface CrashState {
  readonly tree: Tree;
  /** Whether the command had answered before. */
  readonly answered: boolean;
  /** For people: after which change, and which of the changes before were lost. */
  readonly when: string;
}

/** A directory as it is: everything in it is on the disk. Files are named by their inode. */
export function readTree(dir: string): Tree {
  const names = new Map<string, string>();
  const contents = new Map<string, Buffer | undefined>();
  const paths = [dir, ...readdirSync(dir, { recursive: true, encoding: "utf8" }).map((name) => join(dir, name))];
  for (const path of paths) {
    const { ino } = lstatSync(path);
    names.set(path, `${ino}`);
    contents.set(`${ino}`, lstatSync(path).isDirectory() ? undefined : readFileSync(path));
  }
  return { names, contents };
}

/** Replaces what is below `dir` by a tree. */
export function writeTree(dir: string, { names, contents }: Tree): void {
  rmSync(dir, { recursive: true, force: true });
  for (const path of [...names.keys()].filter((name) => isBelow(name, dir)).sort()) {
    const content = contents.get(names.get(path)!);
    if (content === undefined) mkdirSync(path, { recursive: true, mode: 0o700 });
    else writeFileSync(path, content, { mode: 0o600 });
  }
}

/** Parses the lines of disk-trace. A reused inode is another file: it gets its own name. */
export function parseTrace(text: string, before: Tree): Change[] {
  const current = new Map([...before.contents.keys()].map((id) => [id, id]));
  const idOf = (inode: string) => current.get(inode) ?? inode;
  let made = 0;
  const make = (inode: string) => {
    current.set(inode, `${inode}#${++made}`);
    return idOf(inode);
  };
  return text.split("\n").filter(Boolean).map((line): Change => {
    const [kind, a = "", b = "", c = "", d] = line.split(" ");
    switch (kind) {
      case "open": return d === "0" ? { kind: "truncate", id: idOf(b), size: 0 } : { kind: "enter", path: a, id: make(b), isDirectory: false };
      case "mkdir": return { kind: "enter", path: a, id: make(b), isDirectory: true };
      case "link": return { kind: "enter", path: a, id: idOf(b), isDirectory: false };
      case "unlink": return { kind: "leave", path: a, id: idOf(b) };
      case "rename": return { kind: "rename", from: a, path: b, id: idOf(c) };
      case "write": return { kind: "write", id: idOf(a), offset: Number(b), data: Buffer.from(c, "hex") };
      case "truncate": return { kind: "truncate", id: idOf(a), size: Number(b) };
      case "sync": return { kind: "sync", id: idOf(a) };
      case "answer": return { kind: "answer" };
      default: throw new Error(`disk-trace wrote "${line}"`);
    }
  }); // biome-ignore format: a kind a line
}

/** With more pending changes than this not every combination is tried. */
const MOST_COMBINED = 7;

/**
 * Every state of the disk that a power cut may leave, each once: POSIX promises only that what fsync(2) was asked for is
 * there when it returns: of a file its content, of a directory its names. Every other change may be there or not,
 * in any order; a write may be there in part, or as zeros.
 */
export function* crashStates(before: Tree, changes: readonly Change[]): Generator<CrashState> {
  const seen = new Set<string>();
  const directories = directoriesOf(before, changes);
  for (let cut = 0; cut <= changes.length; cut++) {
    const done = changes.slice(0, cut);
    const answered = done.some(({ kind }) => kind === "answer");
    const pending = done.flatMap((change, i) => (isSafe(change, done.slice(i + 1), directories) ? [] : [i]));
    for (const { lost, torn, how } of losses(pending, done)) {
      const tree = apply(before, done, lost, torn);
      const picture = `${answered} ${pictureOf(tree)}`;
      if (seen.has(picture)) continue;
      seen.add(picture);
      const last = done.at(-1);
      yield { tree, answered, when: `cut after change ${cut}${last ? ` (${describe(last)})` : ""}, ${how}` };
    }
  }
}

type Tear = "half" | "zeros";

interface Loss {
  readonly lost: ReadonlySet<number>;
  readonly torn?: { readonly index: number; readonly as: Tear };
  readonly how: string;
}

function* losses(pending: readonly number[], done: readonly Change[]): Generator<Loss> {
  const words = (lost: readonly number[]) =>
    lost.length > 0 ? `lost: ${lost.map((i) => describe(done[i]!)).join(", ")}` : "nothing lost";
  for (const lost of combinations(pending)) yield { lost: new Set(lost), how: words(lost) };
  for (const index of pending.filter((i) => done[i]!.kind === "write"))
    for (const as of ["half", "zeros"] as const)
      for (const others of [[], pending.filter((i) => i !== index && isData(done[i]!))])
        yield {
          lost: new Set(others),
          torn: { index, as },
          how: `${describe(done[index]!)} as ${as}; ${words(others)}`,
        };
}

/** All subsets; of many elements none, all, each alone and all but each. */
function* combinations(all: readonly number[]): Generator<readonly number[]> {
  if (all.length <= MOST_COMBINED) {
    for (let bits = 0; bits < 1 << all.length; bits++) yield all.filter((_, i) => bits & (1 << i));
    return;
  }
  yield* [[], all];
  for (const one of all) yield* [[one], all.filter((i) => i !== one)];
}

const isData = ({ kind }: Change): boolean => kind === "write" || kind === "truncate";

/** Whether a later sync has put a change on the disk. */
function isSafe(change: Change, later: readonly Change[], directories: ReadonlyMap<string, string>): boolean {
  const synced = (id: string | undefined) => later.some((other) => other.kind === "sync" && other.id === id);
  if (change.kind === "sync" || change.kind === "answer") return true;
  if (isData(change)) return synced((change as { id: string }).id);
  const paths = change.kind === "rename" ? [change.from, change.path] : [(change as { path: string }).path];
  return paths.every((path) => synced(directories.get(dirname(path))));
}

/** The directory behind each path that was one at any time: none is renamed by us. */
function directoriesOf(before: Tree, changes: readonly Change[]): Map<string, string> {
  const found = new Map([...before.names].filter(([, id]) => before.contents.get(id) === undefined));
  for (const change of changes) if (change.kind === "enter" && change.isDirectory) found.set(change.path, change.id);
  return found;
}

function apply(before: Tree, changes: readonly Change[], lost: ReadonlySet<number>, torn: Loss["torn"]): Tree {
  const names = new Map(before.names);
  const contents = new Map(before.contents);
  for (const [i, change] of changes.entries()) {
    if (change.kind === "enter" && !contents.has(change.id))
      contents.set(change.id, change.isDirectory ? undefined : Buffer.alloc(0));
    if (!lost.has(i)) applyOne(change, names, contents, torn?.index === i ? torn.as : undefined);
  }
  const isRoot = (path: string) => before.names.has(path) && !before.names.has(dirname(path));
  const isReachable = (path: string): boolean => names.has(path) && (isRoot(path) || isReachable(dirname(path)));
  const reachable = [...names].filter(([path]) => isReachable(path));
  return { names: new Map(reachable), contents };
}

function applyOne(change: Change, names: Map<string, string>, contents: Map<string, Buffer | undefined>, as?: Tear) {
  const content = (id: string) => contents.get(id) ?? Buffer.alloc(0);
  if (change.kind === "enter") names.set(change.path, change.id);
  if (change.kind === "leave" && names.get(change.path) === change.id) names.delete(change.path);
  if (change.kind === "rename") {
    if (names.get(change.from) === change.id) names.delete(change.from);
    names.set(change.path, change.id);
  }
  if (change.kind === "truncate") contents.set(change.id, resized(content(change.id), change.size));
  if (change.kind === "write") {
    const { id, offset } = change;
    const data = as === "half" ? change.data.subarray(0, change.data.length >> 1) : change.data;
    const whole = resized(content(id), Math.max(content(id).length, offset + data.length));
    if (as !== "zeros") data.copy(whole, offset);
    contents.set(id, whole);
  }
}

const resized = (content: Buffer, size: number): Buffer => Buffer.concat([content], size);

const isBelow = (path: string, dir: string): boolean => path === dir || path.startsWith(`${dir}/`);

const pictureOf = ({ names, contents }: Tree): string =>
  [...names]
    .map(([path, id]) => `${path} ${contents.get(id)?.toString("hex") ?? "directory"}`)
    .sort()
    .join("\n");

function describe(change: Change): string {
  const name = (path: string) => path.split("/").slice(-2).join("/");
  switch (change.kind) {
    case "enter": return `${change.isDirectory ? "mkdir" : "name"} ${name(change.path)}`;
    case "leave": return `unlink ${name(change.path)}`;
    case "rename": return `rename to ${name(change.path)}`;
    case "write": return `write of ${change.data.length} bytes`;
    default: return change.kind;
  }
} // biome-ignore format: a kind a line
