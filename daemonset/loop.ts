import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../cni/host.ts";

/**
 * Runs `work` repeatedly until `signal`, each run `everyMs` after the end of the one before, give or take a tenth, so that
 * a thousand agents do not keep step. A run that fails is logged, and the next one starts afresh. Never rejects.
 */
export async function repeat(
  what: string,
  { everyMs, signal, log }: { everyMs: number; signal: AbortSignal; log: Log },
  work: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (err) {
      if (!signal.aborted) log.warn({ what, err }, "background work failed; retrying");
    }
    await pause(everyMs * (0.9 + Math.random() / 5), signal);
  }
}

/**
 * When to ask again for what the cluster does not have, a definition for instance: soon at first, since an installer
 * creates it about now, then with growing pauses, up to half an hour.
 *
 * @param before how often it was asked for in vain.
 */
export const absentMs = (before: number): number => Math.min(1_800_000, 10_000 * 2 ** before);

/** Returns early when `signal` says so. Does not keep the process alive. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {});
}

/** Waits for what may never come. @returns false if `signal` came first. */
export function beforeAbort(work: Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const onAbort = () => resolve(false);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  work.then(() => resolve(true), reject).finally(() => signal.removeEventListener("abort", onAbort));
  return promise;
}
