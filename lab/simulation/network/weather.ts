import type { Random } from "../core/random.ts";

/** What happens to one request. */
export type Fate =
  | "fine"
  | "slow"
  /** Never arrives. */
  | "lost"
  /** Done, but the connection breaks before the answer. */
  | "answer-lost"
  /** Arrives up to a minute later, whether its sender still waits or not. */
  | "late"
  /** 504, and it was done. */
  | "timeout-done"
  | "timeout-not-done"
  /** 429: priority and fairness. */
  | "busy"
  /** Connection refused. */
  | "refused"
  /** 503: a server that starts. */
  | "unavailable"
  /** 500 out of etcd, and it was done or not. */
  | "internal-done"
  | "internal-not-done"
  /** 401: the token is over. */
  | "unauthorized";

export interface Weather {
  /** Of each fate but "fine", 0 to 1. */
  readonly odds: Readonly<Partial<Record<Fate, number>>>;
  /** One way. */
  readonly minMs: number;
  readonly maxMs: number;
  /** Most that an event of a watch, and a list from a cache, are behind. */
  readonly watchLagMs: number;
}

export const CALM: Weather = { odds: {}, minMs: 0.5, maxMs: 5, watchLagMs: 20 };

export const STORMS: readonly Weather["odds"][] = [
  { lost: 0.2 },
  { slow: 0.2 },
  { slow: 0.5 },
  { "answer-lost": 0.3 },
  { late: 0.2, "answer-lost": 0.1 },
  { "timeout-done": 0.2, "timeout-not-done": 0.2 },
  { "internal-done": 0.15, "internal-not-done": 0.15 },
  { busy: 0.4 },
  { refused: 0.3 },
  { unavailable: 0.3 },
  { unauthorized: 0.3 },
  {
    lost: 0.05,
    "answer-lost": 0.05,
    late: 0.05,
    "timeout-done": 0.05,
    "timeout-not-done": 0.05,
    busy: 0.05,
    refused: 0.05,
    unavailable: 0.05,
  },
];

export function fateBy(random: Random, { odds }: Weather): Fate {
  let dice = random.next();
  for (const [fate, share] of Object.entries(odds)) {
    if (dice < share) return fate as Fate;
    dice -= share;
  }
  return "fine";
}
