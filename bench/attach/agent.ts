import { spawn } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const SOCKET = "/run/railnet/agent.sock";
const START_TIMEOUT_MS = 60_000;

/** A running agent; disposing stops it and waits until it is gone. */
export async function startAgent(
  binary: string,
  env: Readonly<Record<string, string>>,
  log: string,
): Promise<AsyncDisposable> {
  const out = openSync(log, "w");
  const child = spawn(binary, ["agent", "--health", "", "--metrics", ""], {
    env: { PATH: process.env["PATH"]!, ...env },
    stdio: ["ignore", out, out],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const end = performance.now() + START_TIMEOUT_MS;
  while (!existsSync(SOCKET)) {
    if (child.exitCode !== null || performance.now() > end) throw new Error(`cannot start the agent: see ${log}`);
    await sleep(20);
  }
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
