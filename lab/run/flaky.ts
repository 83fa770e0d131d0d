import { existsSync, readFileSync } from "node:fs";

/** Files that may fail once, a line each: path, since when (date), why. Tabs between. */
export const FLAKY_LIST = "test/flaky.tsv";

/** @throws {Error} for a line without date or reason, and for a file that is not there any more. */
export function knownFlaky(list = FLAKY_LIST): Set<string> {
  const lines = existsSync(list) ? readFileSync(list, "utf8").split("\n") : [];
  return new Set(lines.filter((line) => line && !line.startsWith("#")).map((line) => fileOf(line, list)));
}

function fileOf(line: string, list: string): string {
  const [file = "", date = "", reason = ""] = line.split("\t");
  if (!/^\d{4}-\d\d-\d\d$/.test(date) || !reason.trim())
    throw new Error(`${list}: "${line}" is not: path, date, reason`);
  if (!existsSync(file)) throw new Error(`${list}: there is no ${file}`);
  return file;
}
