// Runs execCommand() for exec.test.ts: `node exec-driver.ts`, `bun exec-driver.ts`, `bun exec-driver.ts worker`.
// Standard input is a list of jobs, one after the other; the last line of standard output is the list of outcomes.
import { readFileSync, writeSync } from "node:fs";
import type { ExecReply, ExecRequest } from "../../../../cni/protocol/delegate.ts";
import { execCommand } from "../../../../cni/protocol/edges.ts";

export interface Job extends Omit<ExecRequest, "signal"> {
  /** When the caller gives up; 0 before it begins. */
  readonly abortAfterMs?: number;
}
export interface Outcome {
  readonly reply?: ExecReply;
  readonly error?: { readonly name: string; readonly code?: string; readonly message: string };
  readonly ms: number;
}

declare const self: { onmessage: ((event: { data: Job[] }) => void) | null; postMessage(outcomes: Outcome[]): void };

async function run({ abortAfterMs, ...request }: Job): Promise<Outcome> {
  const abort = new AbortController();
  const giveUp = (): void => abort.abort(new Error("the caller is gone"));
  if (abortAfterMs === 0) giveUp();
  else if (abortAfterMs) setTimeout(giveUp, abortAfterMs);
  const begin = performance.now();
  try {
    const reply = await execCommand({ ...request, signal: abort.signal });
    return { reply, ms: performance.now() - begin };
  } catch (thrown) {
    const { name, code, message } = thrown as Error & { code?: string };
    return { error: { name, message, ...(code !== undefined && { code }) }, ms: performance.now() - begin };
  }
}

async function runAll(jobs: readonly Job[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const job of jobs) outcomes.push(await run(job));
  return outcomes;
}

function runInWorker(jobs: readonly Job[]): Promise<Outcome[]> {
  const worker = new Worker(import.meta.url);
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Outcome[]>) => resolve(data);
    worker.onerror = ({ message }: ErrorEvent) => reject(new Error(message));
    worker.postMessage(jobs);
  });
}

if (typeof Bun !== "undefined" && !Bun.isMainThread)
  self.onmessage = async ({ data }) => self.postMessage(await runAll(data));
else {
  const jobs: Job[] = JSON.parse(readFileSync(0, "utf8"));
  const outcomes = await (process.argv[2] === "worker" ? runInWorker(jobs) : runAll(jobs));
  const bytes = Buffer.from(JSON.stringify(outcomes));
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
  process.exit(0);
}
