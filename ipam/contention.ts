import type { Span } from "./address.ts";
import type { Pool, Store } from "./store/store.ts";

/** Whoever lost a race stays away from the common start for this long. */
const CALM_MS = 60_000;

/** The others wait no longer for the one that goes ahead: a slow server must not make a queue of them. */
const AHEAD_MS = 1_000;

/** For so long nobody looks again at a range that was full: each look lists every reservation of a network. */
const FULL_MS = 3_000;

/** What calls that run beside each other in this process know of a pool: what they just try, and where others are not. */
export class Contention {
  /** Candidates that some call is just claiming: to the others they are taken. */
  readonly busy = new Set<bigint>();
  #start: bigint | undefined;
  #lostAt = Number.NEGATIVE_INFINITY;
  #jumps = 0;
  #ahead: Promise<unknown> | undefined;
  /** When a call of this process last went to the common start and others need not wait for what it finds. */
  #triedAt = Number.NEGATIVE_INFINITY;

  /** Ranges that a fresh look showed to be full, and when. */
  readonly #full = new Map<string, number>();

  /** Where to begin; undefined where nobody was in the way lately: at the common start. */
  get start(): bigint | undefined {
    return performance.now() - this.#lostAt < CALM_MS ? this.#start : undefined;
  }

  /** A fresh look showed that nothing of a range is free. */
  sawFull(range: Span): void {
    this.#full.set(keyOf(range), performance.now());
  }

  /** Whether that was a moment ago. What this process has given back since is free all the same: its own view shows it. */
  wasFull(range: Span): boolean {
    return performance.now() - (this.#full.get(keyOf(range)) ?? Number.NEGATIVE_INFINITY) < FULL_MS;
  }

  /** Fulfilled when somebody who went ahead is back; undefined: nobody is away. */
  get ahead(): Promise<unknown> | undefined {
    return this.#ahead;
  }

  /**
   * A claim that began at `start` is on its way. The first one at the common start goes alone: where other nodes begin
   * there too, all calls of this process would lose together (in a storm of 10 nodes 100 of 1,000 claims did, now 9).
   */
  sent(start: bigint | undefined, claim: Promise<unknown>): void {
    if (start !== undefined || performance.now() - this.#triedAt < CALM_MS) return;
    this.#triedAt = performance.now();
    const back = new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, AHEAD_MS);
      claim.catch(() => {}).finally(() => resolve(clearTimeout(limit)));
    });
    this.#ahead = back.finally(() => {
      this.#ahead = undefined;
    });
  }

  /**
   * A race was lost by a call that began at `start`. All calls of this process move on together, the first one that
   * loses there says where to: so a node's addresses stay side by side, and nodes do not follow each other.
   */
  lost(start: bigint | undefined, place: (jump: number) => bigint): void {
    if (start === this.start) this.#start = place(this.#jumps++);
    this.#lostAt = performance.now();
  }

  /** @param address what a call got that began at the common place of this process. */
  won(address: bigint): void {
    if (this.start === undefined) this.#triedAt = performance.now();
    if (this.#start !== undefined && address >= this.#start) this.#start = address + 1n;
  }
}

const keyOf = ({ first, last }: Span): string => `${first}-${last}`;

const OF_STORE = new WeakMap<Store, Map<string, Contention>>();

export function contentionOf(store: Store, { name }: Pool): Contention {
  const pools = OF_STORE.get(store) ?? new Map<string, Contention>();
  OF_STORE.set(store, pools);
  const known = pools.get(name) ?? new Contention();
  pools.set(name, known);
  return known;
}
