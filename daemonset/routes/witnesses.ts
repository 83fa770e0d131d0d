import type { Verdict } from "./hops.ts";

/** What a way has in common with others, by its number. */
export interface Kin {
  readonly peer: unknown;
  readonly rail: unknown;
}

/** So many peers that a rail reaches no more, within this time, speak against the rail. */
const PEERS = 3;
const WITHIN_MS = 1_000;
/** A rail is asked as a whole no more often. */
const AGAIN_MS = 5_000;
/** Where a turn takes less, it is soon enough: nothing is asked in bursts that a node under load might not answer in time. */
const WORTH_MS = 1_500;

/**
 * Ways that are lost bear witness against others: those of the same peer, which may be gone, and of the same rail, whose switch may
 * be. What that leads to is no more than a question that comes before its turn, which matters where a turn takes seconds. Pure but
 * for its state.
 */
export class Witnesses {
  readonly #kin: readonly Kin[];
  readonly #isWorth: boolean;
  readonly #byPeer: ReadonlyMap<unknown, readonly number[]>;
  readonly #byRail: ReadonlyMap<unknown, readonly number[]>;
  readonly #lostMs = new Map<unknown, readonly number[]>();
  readonly #askedMs = new Map<unknown, number>();

  /** @param everyMs what a turn takes. */
  constructor(kin: readonly Kin[], everyMs: number) {
    this.#kin = kin;
    this.#isWorth = everyMs >= WORTH_MS;
    this.#byPeer = Map.groupBy(kin.keys(), (way) => kin[way]!.peer);
    this.#byRail = Map.groupBy(kin.keys(), (way) => kin[way]!.rail);
  }

  /** @returns ways that are worth a question now. */
  heed(verdicts: readonly Verdict[], nowMs: number): readonly number[] {
    const doubtful: number[] = [];
    if (!this.#isWorth) return doubtful;
    for (const { way, isUsed } of verdicts)
      if (!isUsed)
        doubtful.push(...this.#byPeer.get(this.#kin[way]!.peer)!, ...this.#ofRail(this.#kin[way]!.rail, nowMs));
    return doubtful;
  }

  #ofRail(rail: unknown, nowMs: number): readonly number[] {
    const lost = [...(this.#lostMs.get(rail) ?? []), nowMs].filter((ms) => nowMs - ms < WITHIN_MS).slice(-PEERS);
    this.#lostMs.set(rail, lost);
    if (lost.length < PEERS || nowMs - (this.#askedMs.get(rail) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return [];
    this.#askedMs.set(rail, nowMs);
    return this.#byRail.get(rail)!;
  }
}

/**
 * In which order ways are asked: those of a rail are spread evenly over a turn, and so are those of a peer, so that a switch or a
 * node that is gone is noticed after a part of it. Pure.
 */
export function turnOf(kin: readonly Kin[]): number[] {
  const byRail = [...Map.groupBy(kin.keys(), (way) => kin[way]!.rail).values()];
  const places = byRail.flatMap((ways, rail) =>
    ways.map((way, i) => ({ way, at: (i / ways.length + rail / byRail.length) % 1 })),
  );
  return places.sort((a, b) => a.at - b.at || a.way - b.way).map(({ way }) => way);
}
