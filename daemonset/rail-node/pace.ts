export interface PaceOptions {
  /** Between two writes of a node, and the longest time that a change waits. */
  readonly spreadMs: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/**
 * When a node's report is written. What happens to a thousand nodes at once (a switch reboots) must not reach the API server
 * at once: a change waits for a random time, at most the spread, and a node writes once per spread. So N nodes cost
 * N / spread writes a second, whatever happens: 17 at 1,000 nodes and 60 s. Pure but for its memory.
 */
export class Pace {
  readonly #options: PaceOptions;
  #lastMs = Number.NEGATIVE_INFINITY;
  #dueMs: number | undefined;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** @param differs whether the report differs from what was written. @returns whether to write now. */
  isDue(nowMs: number, differs: boolean): boolean {
    if (!differs) {
      this.#dueMs = undefined; // it has gone back
      return false;
    }
    const { spreadMs, random } = this.#options;
    this.#dueMs ??= Math.max(nowMs + random() * spreadMs, this.#lastMs + spreadMs);
    return nowMs >= this.#dueMs;
  }

  /** A write that failed counts as one: all agents lose the same server at once. */
  wrote(nowMs: number): void {
    this.#lastMs = nowMs;
    this.#dueMs = undefined;
  }
}
