import { readdirSync, readFileSync } from "node:fs";

// What does not exist, vanishes while it is read, or is an empty entry (EINVAL) is undefined or empty; nothing here throws.

/** The text of a small file, without white space around it. */
export const line = (file: string): string | undefined => read(() => readFileSync(file, "utf8").trim());

/** The names in a directory. */
export const entries = (dir: string): string[] => read(() => readdirSync(dir)) ?? [];

/** What `look` returns; undefined if it throws. */
export function read<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined; // no such file: no such thing
  }
}
