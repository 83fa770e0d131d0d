// Uses records/lock.ts in a process of its own, for lock.test.ts. Arguments: run directory, what to do, and its own.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../../../kernel/errno.ts";
import { Locks } from "../../../records/lock.ts";

const [runDir = "", action = "", ...rest] = process.argv.slice(2);
const locks = new Locks(runDir);

/** Adds one to a file as often, each time under the lock; fails when somebody else is inside. */
async function count(times: number): Promise<void> {
  const file = join(runDir, "counter");
  const inside = join(runDir, "inside");
  for (let left = times; left > 0; left--) {
    using _ = await locks.acquire("vf", "the counter", 60_000);
    closeSync(openSync(inside, "wx"));
    writeFileSync(file, String(Number(readFileSync(file, "utf8")) + 1));
    rmSync(inside);
  }
}

/** Holds the lock until killed or its standard input ends; with a child that goes on living. */
async function hold(childSeconds: number): Promise<void> {
  using _ = await locks.acquire("vf", "VF 1", 10_000);
  const child =
    childSeconds > 0 ? spawn("sleep", [String(childSeconds)], { stdio: "ignore", detached: true }) : undefined;
  console.log(`held ${child?.pid ?? ""}`);
  for await (const _ of process.stdin);
}

async function acquire(timeoutMs: number, abortMs: number): Promise<void> {
  const signal = abortMs > 0 ? AbortSignal.timeout(abortMs) : undefined;
  const begin = performance.now();
  try {
    using _ = await locks.acquire("vf", "VF 1", timeoutMs, signal);
    console.log(JSON.stringify({ ms: performance.now() - begin }));
  } catch (error) {
    const { name, message, code } = error as Error & { code: unknown };
    console.log(JSON.stringify({ name, message, code: codeOf(error) ?? code, ms: performance.now() - begin }));
  }
}

/** Waits for a lock that others have, so often as it is asked for. */
async function polls(times: number): Promise<void> {
  const begin = performance.now();
  let left = times;
  const busy = new (class extends Locks {
    override tryAcquire(name: string) {
      return left-- > 0 ? undefined : super.tryAcquire(name);
    }
  })(runDir);
  using _ = await busy.acquire("vf", "VF 1", 60_000);
  console.log(JSON.stringify({ ms: performance.now() - begin }));
}

if (action === "polls") await polls(Number(rest[0]));
else if (action === "count") await count(Number(rest[0]));
else if (action === "hold") await hold(Number(rest[0] ?? 0));
else if (action === "acquire") await acquire(Number(rest[0]), Number(rest[1] ?? 0));
else if (action === "sweep") locks.sweep();
else throw new Error(`cannot ${action}: unknown`);
