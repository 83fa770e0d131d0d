import { readFileSync } from "node:fs";
import type { Step } from "./steps.ts";

/** Set by the build of the test executables only: the shipped ones have no fault injection in them. */
declare const FAULT_INJECTION: boolean | undefined;
const isTestBuild = typeof FAULT_INJECTION !== "undefined" && FAULT_INJECTION;

/**
 * Test builds read the file named by `RAILNET_FAULT_FILE` after every step. A line `STEP ACTION` there makes it happen:
 * `kill` (SIGKILL to the own process), `fail` (throw), `hang MS` (block the thread, as a stuck kernel call does).
 */
export function faultsFrom(env: Readonly<Record<string, string | undefined>>): (step: Step) => void {
  const file = isTestBuild ? env.RAILNET_FAULT_FILE : undefined;
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
