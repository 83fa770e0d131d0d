import type { Span } from "./address.ts";
import type { Pool, Store } from "./store/store.ts";

/** How long a caller that lost a race avoids the common start. */
const CALM_MS = 60_000;

/** How long the others wait for the one that goes ahead: a slow server must not turn them into a queue. */
const AHEAD_MS = 1_000;

/** How long a range that was full is not looked at again: each look lists every reservation of a network. */
const FULL_MS = 3_000;

/** What concurrent calls in this process share about a pool: what they are trying, and where other nodes are not. */
export class Contention {
  /** Candidates that a call is currently claiming: the others treat them as taken. */
  readonly busy = new Set<bigint>();
  #start: bigint | undefined;
  #lostAt = Number.NEGATIVE_INFINITY;
  #jumps = 0;
  #ahead: Promise<unknown> | undefined;
  /** When a call of this process last went to the common start so that others need not wait for its result. */
  #triedAt = Number.NEGATIVE_INFINITY;

  /** Ranges that a fresh look showed to be full, and when. */
  readonly #full = new Map<string, number>();

  /** Where to begin; undefined if there was no recent conflict: at the common start. */
  get start(): bigint | undefined {
    return performance.now() - this.#lostAt < CALM_MS ? this.#start : undefined;
  }

  /** A fresh look showed that a range has nothing free. */
  sawFull(range: Span): void {
    this.#full.set(keyOf(range), performance.now());
  }

  /** Whether that was a moment ago. What this process has released since is free nevertheless: its own view shows it. */
  wasFull(range: Span): boolean {
    return performance.now() - (this.#full.get(keyOf(range)) ?? Number.NEGATIVE_INFINITY) < FULL_MS;
  }

  /** Resolves when the one that went ahead is back; undefined when none is away. */
  get ahead(): Promise<unknown> | undefined {
    return this.#ahead;
  }

  /**
   * A claim that began at `start` has been sent. The first one at the common start goes alone: if other nodes begin there
   * too, all calls of this process would lose together (in a storm of 10 nodes 100 of 1,000 claims did, now 9).
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
   * A call that began at `start` lost a race. All calls of this process move on together, to the place chosen by the first
   * that loses there: so a node's addresses stay together, and nodes do not follow each other.
   */
  lost(start: bigint | undefined, place: (jump: number) => bigint): void {
    if (start === this.start) this.#start = place(this.#jumps++);
    this.#lostAt = performance.now();
  }

  /** @param address what a call got that began at this process's common place. */
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
