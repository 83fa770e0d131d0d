import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { codeOf, isMissing } from "../../kernel/errno.ts";
import { makeDirectory, readIfThere, syncFile } from "../../records/durable.ts";

/** Called before a temporary file takes its name and after: where tests inject faults. */
export type StepHook = (step: string) => void;

/** A file could not be put in place. `code` is an errno name. */
class PlaceError extends Error {
  override readonly name = "PlaceError";
  readonly code: string | undefined;

  constructor(path: string, cause: unknown) {
    super(`cannot put ${path} in its place: ${(cause as Error).message}`, { cause });
    this.code = codeOf(cause);
  }
}

const PIECE_BYTES = 1 << 20;

/** In every temporary file's name; the holder of the installer's lock may delete such files. */
const TEMPORARY = ".railnet-new";

/**
 * Puts a copy of `source` at `path`, executable. At any instant readers see the old file or the new one, complete: it is
 * written under another name, synced, and renamed. An existing file of the same content is left alone.
 *
 * @returns whether anything had to be done.
 * @throws {PlaceError} ENOSPC for instance; then nothing has changed and no temporary file is left.
 */
export function placeExecutable(source: string, path: string, step: StepHook = () => {}): boolean {
  if (isSameFile(source, path) && isExecutable(path)) return false;
  const from = fs.openSync(source, "r");
  try {
    replace(path, 0o755, (to) => copy(from, to), step);
  } finally {
    fs.closeSync(from);
  }
  return true;
}

/** The same for a text, with the mode that the file should have. */
export function placeText(text: string, path: string, mode: number, step: StepHook = () => {}): boolean {
  if (readIfThere(path) === text && (fs.statSync(path).mode & 0o7777) === mode) return false;
  replace(path, mode, (to) => fs.writeFileSync(to, text), step);
  return true;
}

/** Deletes what killed installers have left in a directory. */
export function sweepTemporaries(dir: string): void {
  for (const name of namesIn(dir))
    if (name.startsWith(".") && name.endsWith(TEMPORARY)) fs.rmSync(join(dir, name), { force: true });
}

/** Every rename is on the disk on return: an executable emptied by a power cut would fail every pod. */
function replace(path: string, mode: number, write: (to: number) => void, step: StepHook): void {
  const [dir, name] = [dirname(path), basename(path)];
  makeDirectory(dir, 0o755);
  const temporary = join(dir, `.${name}${TEMPORARY}`);
  try {
    const to = fs.openSync(temporary, "w", mode);
    try {
      write(to);
      fs.fchmodSync(to, mode); // whatever the umask
      fs.fsyncSync(to);
    } finally {
      fs.closeSync(to);
    }
    step(`install-${name}-written`);
    fs.renameSync(temporary, path);
  } catch (cause) {
    fs.rmSync(temporary, { force: true });
    throw new PlaceError(path, cause);
  }
  syncFile(dir);
  step(`install-${name}-placed`);
}

function copy(from: number, to: number): void {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  for (let length = fs.readSync(from, piece); length > 0; length = fs.readSync(from, piece))
    fs.writeFileSync(to, piece.subarray(0, length)); // writeSync() may stop half-way on a full disk without an error
}

/** Whether `path` is a regular file, not a link, of the same content. */
export function isSameFile(source: string, path: string): boolean {
  const there = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!there?.isFile() || there.size !== fs.statSync(source).size) return false;
  const [a, b] = [fs.openSync(source, "r"), fs.openSync(path, "r")];
  const [pieceA, pieceB] = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.allocUnsafe(PIECE_BYTES)];
  try {
    for (;;) {
      const [lengthA, lengthB] = [fs.readSync(a, pieceA), fs.readSync(b, pieceB)];
      if (!pieceA.subarray(0, lengthA).equals(pieceB.subarray(0, lengthB))) return false;
      if (lengthA === 0) return true;
    }
  } finally {
    fs.closeSync(a);
    fs.closeSync(b);
  }
}

const isExecutable = (path: string): boolean => (fs.statSync(path).mode & 0o7777) === 0o755;

function namesIn(dir: string): string[] {
  try {
    return fs.readdirSync(dir);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
