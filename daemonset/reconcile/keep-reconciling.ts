import type { Log } from "../../cni/host.ts";
import { pause } from "../loop.ts";

export interface KeepReconcilingOptions {
  readonly reconcile: () => Promise<void>;
  /** A changed text is a reason to run. */
  readonly signs: () => string;
  /** Whether a VF is owed something: then it is tried again even if no sign changes. */
  readonly isOwed: () => boolean;
  /** Pause between two runs when nothing happens. */
  readonly everyMs: number;
  readonly log: Log;
  /** How often the signs are looked at. */
  readonly lookMs?: number;
  /** A namespace that vanishes is normally followed by its DEL: allows a moment for that. */
  readonly settleMs?: number;
  /** How soon a failed run is repeated. */
  readonly failedMs?: number;
  /** Pause before the first, and before every late one, of the runs for what is owed. */
  readonly owedMs?: readonly [first: number, last: number];
}

/** If the signs never rest, a run comes after this many times `settleMs`. */
const MOST_SETTLES = 5;

/**
 * Runs the reconciler once before it returns, then at every change of the signs, soon after a run that failed, repeatedly
 * while something is owed, and on a timer. The signs are those from before a run, so a change during a run, however long,
 * is a reason for another one. Never rejects; a first run that fails keeps nobody waiting either.
 *
 * @returns a function that ends it.
 */
export async function keepReconciling(options: KeepReconcilingOptions): Promise<() => void> {
  const end = new AbortController();
  const runs = new Runs(options, end.signal);
  await runs.run();
  void runs.goOn();
  return () => end.abort();
}

class Runs {
  readonly #options: Required<KeepReconcilingOptions>;
  readonly #signal: AbortSignal;
  #seen = "";
  /** Runs with the same signs that left something owed. */
  #inVain = 0;
  #restMs = 0;

  constructor(options: KeepReconcilingOptions, signal: AbortSignal) {
    this.#options = { lookMs: 1_000, settleMs: 2_000, failedMs: 5_000, owedMs: [2_000, 20_000], ...options };
    this.#signal = signal;
  }

  async goOn(): Promise<void> {
    while (!this.#signal.aborted) {
      await this.#due();
      if (!this.#signal.aborted) await this.run();
    }
  }

  async run(): Promise<void> {
    const { reconcile, signs, everyMs, failedMs, log } = this.#options;
    const now = signs();
    if (now !== this.#seen) this.#inVain = 0;
    this.#seen = now;
    try {
      await reconcile();
      this.#restMs = Math.min(everyMs, this.#owedMs());
    } catch (err) {
      log.warn({ err }, "reconciliation failed; retrying");
      this.#restMs = Math.min(everyMs, failedMs);
    }
  }

  /** What keeps a debt from being settled may show nowhere: a driver that refuses, a lock that was held. */
  #owedMs(): number {
    const { isOwed, owedMs } = this.#options;
    const [first, last] = owedMs;
    return isOwed() ? Math.min(last, first * 2 ** this.#inVain++) : Number.POSITIVE_INFINITY;
  }

  /** Until the pause is over, or a change of the signs has settled. */
  async #due(): Promise<void> {
    const { signs, lookMs } = this.#options;
    const end = performance.now() + this.#restMs;
    while (!this.#signal.aborted) {
      if (signs() !== this.#seen) return this.#settle();
      const leftMs = end - performance.now();
      if (leftMs <= 0) return;
      await pause(Math.min(lookMs, leftMs), this.#signal);
    }
  }

  async #settle(): Promise<void> {
    const { signs, settleMs } = this.#options;
    for (let left = MOST_SETTLES; left > 0 && !this.#signal.aborted; left--) {
      const now = signs();
      await pause(settleMs, this.#signal);
      if (signs() === now) return;
    }
  }
}
