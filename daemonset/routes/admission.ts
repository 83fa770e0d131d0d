import type { Verdict } from "./hops.ts";

/** An answer may take its time: it comes by whichever way the peer has. */
const ANSWER_MS = 1_000;
const MISSES = 3;
/** A way that is admitted is asked so often, one that is not so often. */
const ADMITTED_MS = 30_000;
const REFUSED_MS = 5_000;
/** Of packets as large as the rail takes. */
const PER_SECOND = 1_000;
const STEP_MS = 200;

interface Entry {
  readonly isAdmitted: boolean;
  /** Questions in a row without an answer. */
  readonly misses: number;
  readonly nextMs: number;
  /** When the question went that is not judged yet. */
  readonly askedMs?: number;
}

/**
 * Whether a peer takes in what comes by a way for its primary address: a neighbour that answers ARP may still refuse all of it (a
 * strict `rp_filter`, where Railnet has not been or is no more; a firewall), or a switch what is large. Pure but for its state.
 */
export class Admission {
  readonly #entries: Entry[];
  readonly #answered = new Set<number>();
  #lastMs = Number.NEGATIVE_INFINITY;
  /** Where the turn is, so that the budget is everybody's. */
  #turn = 0;

  /** @param isAdmitted what is known before: the next hops that an agent before this one has left are. */
  constructor(isAdmitted: readonly boolean[], nowMs: number) {
    this.#entries = isAdmitted.map((isAdmitted) => ({ isAdmitted, misses: 0, nextMs: nowMs }));
  }

  isAdmitted(way: number): boolean {
    return this.#entries[way]!.isAdmitted;
  }

  answered(way: number): void {
    if (this.#entries[way]?.askedMs !== undefined) this.#answered.add(way);
  }

  /** @param isAlive a way that answers no ARP is not asked, and stays as it was. @returns what to ask now, and what has changed. */
  tick(nowMs: number, isAlive: (way: number) => boolean): { readonly ask: number[]; readonly verdicts: Verdict[] } {
    const ask: number[] = [];
    const verdicts: Verdict[] = [];
    if (nowMs - this.#lastMs < STEP_MS) return { ask, verdicts };
    this.#lastMs = nowMs;
    const count = this.#entries.length;
    for (let i = 0; i < count; i++) {
      const way = (this.#turn + i) % count;
      const before = this.#entries[way]!;
      const entry = isAlive(way) ? this.#judge(way, before, nowMs) : { isAdmitted: before.isAdmitted, misses: 0, nextMs: before.nextMs }; // biome-ignore format: one row
      const isDue = isAlive(way) && entry.askedMs === undefined && nowMs >= entry.nextMs;
      const isAsked = isDue && ask.length < (PER_SECOND * STEP_MS) / 1000;
      if (isAsked) ask.push(way);
      this.#entries[way] = isAsked ? { ...entry, askedMs: nowMs } : entry;
      if (entry.isAdmitted !== before.isAdmitted) verdicts.push({ way, isUsed: entry.isAdmitted });
    }
    if (ask.length > 0) this.#turn = (ask.at(-1)! + 1) % count;
    return { ask, verdicts };
  }

  #judge(way: number, entry: Entry, nowMs: number): Entry {
    const { isAdmitted, misses, askedMs } = entry;
    if (askedMs === undefined) return entry;
    const spread = 0.9 + (way % 64) / 320; // ways of one moment do not stay together
    if (this.#answered.delete(way)) return { isAdmitted: true, misses: 0, nextMs: nowMs + ADMITTED_MS * spread };
    if (nowMs - askedMs < ANSWER_MS) return entry;
    const stays = isAdmitted && misses + 1 < MISSES;
    return { isAdmitted: stays, misses: misses + 1, nextMs: stays ? nowMs : nowMs + REFUSED_MS * spread };
  }
}
