import { readdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { count } from "../table.ts";
import { type DoctorFinding, named, note, wrong } from "./finding.ts";

/** A record takes a few kilobytes; an ADD that cannot write one fails. */
const LITTLE_BYTES = 16 << 20;

/** Whether the journal can be written, and is intact. */
export function diskFindings(stateDir: string): DoctorFinding[] {
  const torn = join(stateDir, "torn");
  const names = list(torn);
  const free = freeBytes(stateDir);
  return named(
    "journal",
    [
      ...(free !== undefined && free < LITTLE_BYTES
        ? [wrong(`the disk of ${stateDir} has ${free >> 10} KB left, and ADD needs to write there: make room`)]
        : []),
      ...(names.length > 0
        ? [
            note(
              `${count(names.length, "record")} that were incomplete are in ${torn}: see whose they were, then delete them`,
            ),
          ]
        : []),
    ],
    `${stateDir} is writable, every record is complete`,
  );
}

function freeBytes(dir: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  } catch {
    return undefined; // not created yet
  }
}

/** Names in a directory that may be missing. */
export function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
