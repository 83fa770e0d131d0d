import type { Pool, Store } from "./store/store.ts";

/** Whoever lost a race stays away from the common start for this long. */
const CALM_MS = 60_000;

/** What calls that run beside each other in this process know of a pool: what they just try, and where others are not. */
export class Contention {
  /** Candidates that some call is just claiming: to the others they are taken. */
  readonly busy = new Set<bigint>();
  #next: bigint | undefined;
  #lostAt = Number.NEGATIVE_INFINITY;

  /** Where to go on after a race that was lost lately: behind the last success of this process. */
  get start(): bigint | undefined {
    return performance.now() - this.#lostAt < CALM_MS ? this.#next : undefined;
  }

  lost(): void {
    this.#lostAt = performance.now();
    this.#next = undefined;
  }

  won(address: bigint): void {
    this.#next = address + 1n;
  }
}

const OF_STORE = new WeakMap<Store, Map<string, Contention>>();

export function contentionOf(store: Store, { name }: Pool): Contention {
  const pools = OF_STORE.get(store) ?? new Map<string, Contention>();
  OF_STORE.set(store, pools);
  const known = pools.get(name) ?? new Contention();
  pools.set(name, known);
  return known;
}
