import { readFileSync } from "node:fs";
import type { Step } from "./steps.ts";

/** Set by the build: the shipped executables have no fault injection in them. */
declare const FAULT_INJECTION: boolean;

/**
 * Test builds read the file named by `RAILNET_FAULT_FILE` after every step. A line `STEP ACTION` there makes it happen:
 * `kill` (SIGKILL to the own process), `fail` (throw), `hang MS` (block the thread, as a stuck kernel call does).
 */
export function faultsFrom(env: Readonly<Record<string, string | undefined>>): (step: Step) => void {
  if (!FAULT_INJECTION) return () => {};
  const file = env.RAILNET_FAULT_FILE;
  return file ? (step) => inject(step, file) : () => {};
}

function inject(step: Step, file: string): void {
  for (const line of read(file).split("\n")) {
    const [at, action, ms] = line.trim().split(" ");
    if (at !== step) continue;
    if (action === "kill") process.kill(process.pid, "SIGKILL");
    if (action === "hang") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms));
    if (action === "fail") throw new Error(`cannot go on after ${step}: injected fault`);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
