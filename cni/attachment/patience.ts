import { codeOf } from "../../kernel/errno.ts";
import type { Host } from "../host.ts";

/** How long one request is retried: a VF's reset takes 100 to 300 ms; in the worst case iavf takes 5 s to begin it. */
export const PATIENCE_MS = 8_000;
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1_000;

/** What is temporary: the VF is in reset, its firmware busy, or somebody is creating VFs on its PF (ice, i40e, iavf, mlx5). */
export const isBusy = (error: unknown): boolean => ["EBUSY", "EAGAIN"].includes(codeOf(error) ?? "");

export type Waiter = Pick<Host, "clock"> & { readonly signal?: AbortSignal };

/**
 * Asks until there is an answer, with growing pauses. Limited by time, not by tries, since a driver may hold rtnl, the
 * lock of the whole node, for 2.5 s in each (iavf): it then gets as long a rest.
 *
 * @param ask `undefined`: not yet.
 * @returns undefined when the time is up.
 * @throws the reason of `signal`.
 */
export async function awaitAnswer<T>(ask: () => T | undefined, { clock, signal }: Waiter): Promise<T | undefined> {
  const end = clock.nowMs() + PATIENCE_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS)) {
    const askedMs = clock.nowMs();
    const answer = ask();
    const restMs = Math.max(pauseMs, clock.nowMs() - askedMs);
    if (answer !== undefined || clock.nowMs() + restMs > end) return answer;
    await clock.sleep(restMs);
    signal?.throwIfAborted();
  }
}

/**
 * Makes a request until the driver is no longer busy.
 *
 * @throws {NetlinkError} any other refusal at once; the last EBUSY or EAGAIN when the time is up.
 */
export async function patiently<T>(request: () => T, waiter: Waiter): Promise<T> {
  let busy: unknown;
  const done = await awaitAnswer(() => {
    try {
      return { answer: request() };
    } catch (error) {
      if (!isBusy(error)) throw error;
      busy = error;
      return undefined;
    }
  }, waiter);
  if (!done) throw busy;
  return done.answer;
}
