import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Change, type CrashState, crashStates, parseTrace, readTree } from "./crash-states.ts";
import { type Ran, type RunOptions, start } from "./run.ts";

/** A command that ran to its end, and what a power cut at any instant of it may leave. */
export interface Traced extends Ran {
  readonly changes: readonly Change[];
  readonly states: Iterable<CrashState>;
}

/** Runs commands and follows what they do to a directory. */
export class DiskTracer {
  readonly #folder: string;

  /** @param folder for the compiled tool and its traces. */
  constructor(folder: string) {
    this.#folder = folder;
    const flags = ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-static"];
    execFileSync("gcc", [...flags, "-o", this.tool, join(import.meta.dirname, "disk-trace.c")]);
  }

  get tool(): string {
    return join(this.#folder, "disk-trace");
  }

  /** @param dir its files are on the disk when the command starts. */
  async run(dir: string, command: readonly string[], options: RunOptions = {}): Promise<Traced> {
    return this.watch(dir, (trace) => start(this.tool, [trace, dir, ...command], options));
  }

  /** The same for a command that somebody else starts, as `${tool} ${trace} ${dir} COMMAND…`. */
  async watch(dir: string, begin: (trace: string) => Promise<Ran>): Promise<Traced> {
    const trace = join(this.#folder, `trace-${process.pid}`);
    const before = readTree(dir);
    const ran = await begin(trace);
    const changes: Change[] = [...parseTrace(readFileSync(trace, "utf8"), before), { kind: "answer" }]; // its exit code, at the latest
    return { ...ran, changes, states: crashStates(before, changes) };
  }
}
