import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Ran, type RunOptions, start } from "./run.ts";

/** Where a command was killed: before which of its changes, or that it ended with fewer. */
export interface Death extends Ran {
  /** Number of changes it got to, including the one before which it died. */
  readonly changes: number;
  /** The system call that was prevented; `nothing` if it survived. */
  readonly before: string;
}

/** Kills commands between any two of their changes to a directory. */
export class Killer {
  readonly #folder: string;

  /** @param folder for the compiled tool and its reports. */
  constructor(folder: string) {
    this.#folder = folder;
    const flags = ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-static"];
    execFileSync("gcc", [...flags, "-o", join(folder, "die-at"), join(import.meta.dirname, "die-at.c")]);
  }

  /** @param nth change before which the command dies, from 1. */
  async run(nth: number, dir: string, command: readonly string[], options: RunOptions): Promise<Death> {
    const report = join(this.#folder, `report-${process.pid}`);
    const ran = await start(join(this.#folder, "die-at"), [report, `${nth}`, dir, ...command], options);
    const [changes, before = ""] = readFileSync(report, "utf8").trim().split(" ");
    return { ...ran, changes: Number(changes), before };
  }
}
