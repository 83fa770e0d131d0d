import * as fs from "node:fs";
import { dirname } from "node:path";
import { isMissing } from "../kernel/errno.ts";

/** @param synced whether the content is on the disk on return; for the name see syncFile() of the directory. */
export function writeWhole(file: string, text: string, synced: boolean, flags = "w"): void {
  const fd = fs.openSync(file, flags, 0o600);
  try {
    fs.writeFileSync(fd, text); // writeSync() may stop half-way on a full disk without an error
    if (synced) fs.fdatasyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Appends to an existing file. A partial write is undone. @param synced whether it is on the disk on return. */
export function append(file: string, text: string, synced: boolean): void {
  const fd = fs.openSync(file, fs.constants.O_WRONLY | fs.constants.O_APPEND);
  const before = fs.fstatSync(fd).size;
  try {
    fs.writeFileSync(fd, text);
    if (synced) fs.fdatasyncSync(fd);
  } catch (error) {
    fs.ftruncateSync(fd, before);
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

/** The text of a file; undefined when there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return fs.readFileSync(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Of a directory: syncs the names in it. */
export function syncFile(path: string): void {
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Several files at once: a journalling file system commits them together, so the disk is waited for once. */
export async function syncFiles(paths: readonly string[]): Promise<void> {
  await Promise.all(paths.map(syncBeside));
}

async function syncBeside(path: string): Promise<void> {
  const fd = fs.openSync(path, "r");
  try {
    await new Promise<void>((resolve, reject) => fs.fsync(fd, (error) => (error ? reject(error) : resolve())));
  } finally {
    fs.closeSync(fd);
  }
}

/** As `mkdir -p`, but each directory that it creates is synced to the disk, since its content must not be lost. */
export function makeDirectory(dir: string, mode = 0o700): void {
  const first = fs.mkdirSync(dir, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = dir; made.startsWith(first); made = dirname(made)) syncFile(dirname(made));
}
