/** How often neighbours are asked. Times in ms. */
export interface AskPace {
  /** A way that works is asked so often. */
  readonly everyMs: number;
  /** An answer is late after this; of ARP on a rail it takes well under 1 ms. */
  readonly answerMs: number;
  /** After so many questions in a row without an answer the way is down. */
  readonly misses: number;
  /** A way that is down is asked so often, all such ways together at most `downPerSecond`. */
  readonly downMs: number;
  readonly downPerSecond: number;
  /** Answers in a row before a way is used again; doubled for each recent loss, up to `provesMax`. */
  readonly proves: number;
  readonly provesMax: number;
  /** A way that stayed up for so long has no recent loss. */
  readonly forgetMs: number;
  /** Questions of all kinds together. */
  readonly perSecond: number;
}

/** Both ends' kernels take 12.5 µs for a question: 6 % of one processor. */
const PER_SECOND = 5_000;
/** The rest is for ways that are suspect, or prove themselves. */
const SHARE_OF_UP = 0.8;
const FASTEST_MS = 500;

/** As often as the budget of questions allows for so many ways, at most twice a second. Pure. */
export const paceOf = (ways: number): AskPace => ({
  everyMs: Math.max(FASTEST_MS, (ways / (PER_SECOND * SHARE_OF_UP)) * 1000),
  answerMs: 100,
  misses: 3,
  downMs: 500,
  downPerSecond: 1_000,
  proves: 5,
  provesMax: 320,
  forgetMs: 60_000,
  perSecond: PER_SECOND,
});
