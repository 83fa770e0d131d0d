import type { AskPace } from "./pace.ts";

/**
 * `up`: used. `suspect`: used, though the last question had no answer. `down`: not used. `trial`: answers again, and is not
 * used until it has proved that it goes on to.
 */
export type WayState = "up" | "suspect" | "down" | "trial";

/** What is known of one way to a peer: one of its rails. */
export interface Way {
  readonly state: WayState;
  /** Questions in a row without an answer (suspect), or with one (trial). */
  readonly count: number;
  /** Times that it went down and had not been up for long before. */
  readonly losses: number;
  /** When it last went up, or down. */
  readonly sinceMs: number;
}

export const isUsed = ({ state }: Way): boolean => state === "up" || state === "suspect";

/** Nothing is known yet, but that the kernel has it as a next hop: from an agent before this one. */
export const newWay = (isHop: boolean, nowMs: number): Way => ({
  state: isHop ? "up" : "down",
  count: 0,
  losses: 0,
  sinceMs: nowMs,
});

/** A question was answered, or was not in time. Pure. */
export function judge(way: Way, isAnswered: boolean, nowMs: number, pace: AskPace): Way {
  const count = way.count + 1;
  switch (way.state) {
    case "up":
      return isAnswered ? way : { ...way, state: "suspect", count: 1 };
    case "suspect":
      if (isAnswered) return { ...way, state: "up", count: 0 };
      return count < pace.misses ? { ...way, count } : lose(way, nowMs, pace);
    case "down":
      return isAnswered ? prove({ ...way, state: "trial", count: 1 }, nowMs, pace) : way;
    case "trial":
      return isAnswered ? prove({ ...way, count }, nowMs, pace) : { ...way, state: "down", count: 0 };
  }
}

/** Somebody says that it has changed: that is no more than a reason to ask. Pure. */
export const suspect = (way: Way): Way => (way.state === "up" ? { ...way, state: "suspect", count: 0 } : way);

/** It goes down, which is remembered; whoever was up for long has no losses to remember. Pure. */
export function lose(way: Way, nowMs: number, { forgetMs }: AskPace): Way {
  if (!isUsed(way)) return { ...way, state: "down", count: 0 };
  const losses = nowMs - way.sinceMs > forgetMs ? 1 : Math.min(way.losses + 1, 16);
  return { state: "down", count: 0, losses, sinceMs: nowMs };
}

/** Answers in a row that it needs to be used: a way that flaps needs more each time. Pure. */
const needed = ({ losses }: Way, { proves, provesMax }: AskPace): number =>
  Math.min(provesMax, proves * 2 ** Math.max(0, losses - 1));

const prove = (way: Way, nowMs: number, pace: AskPace): Way =>
  way.count < needed(way, pace) ? way : { ...way, state: "up", count: 0, sinceMs: nowMs };
