import { appendFileSync, readFileSync } from "node:fs";
import type { HostOptions } from "./node-host.ts";

/** Set by the build: the shipped executables contain no fault injection. */
declare const FAULT_INJECTION: boolean;

interface Faults extends Pick<HostOptions, "ipamTimeoutMs"> {
  readonly step?: (step: string, ifname?: string) => void;
}

/**
 * Test builds read the file named by `RAILNET_FAULT_FILE` after every step. A line `STEP ACTION`, or for one interface
 * only `STEP@INTERFACE ACTION`, makes it happen:
 * `kill` (SIGKILL to its own process), `fail` (throw), `hang MS` (block the thread, like a stuck kernel call), `hold` (the
 * same until the line is gone). A line `trace FILE` has every step written there, before anything else happens.
 * `RAILNET_IPAM_TIMEOUT_MS` shortens the timeout of IPAM plugins.
 */
export function faultsFrom(env: Readonly<Record<string, string | undefined>>): Faults {
  if (!FAULT_INJECTION) return {};
  const { RAILNET_FAULT_FILE: file, RAILNET_IPAM_TIMEOUT_MS: ms } = env;
  return {
    ...(file && { step: (step: string, ifname?: string) => inject(step, ifname, file) }),
    ...(ms && { ipamTimeoutMs: Number(ms) }),
  };
}

function inject(step: string, ifname: string | undefined, file: string): void {
  for (const line of read(file).split("\n")) {
    const [at, action, ms] = line.trim().split(" ");
    if (at === "trace") appendFileSync(action!, `${step}\n`);
    if (at !== step && at !== `${step}@${ifname}`) continue;
    if (action === "kill") process.kill(process.pid, "SIGKILL");
    if (action === "hang") block(Number(ms));
    if (action === "hold") while (read(file).includes(line)) block(10);
    if (action === "fail") throw new Error(`cannot go on after ${step}: injected fault`);
  }
}

const block = (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
