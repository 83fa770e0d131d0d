import { readFileSync } from "node:fs";
import { codeOf } from "../../kernel/errno.ts";

/** The text of a file, undefined when there is none. @throws {Error} when it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw new Error(`cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}
