import type { Etcd } from "../api/etcd.ts";
import { simulation } from "../core/simulation.ts";

/** When each change was made: what a cache that is behind has not seen. */
export class CacheTimes {
  readonly #etcd: Etcd;
  #times: { readonly rev: number; readonly atMs: number }[] = [];

  constructor(etcd: Etcd) {
    this.#etcd = etcd;
  }

  changed(rev: number): void {
    this.#times.push({ rev, atMs: simulation().nowMs });
    if (this.#times.length > 4_000) this.#times = this.#times.slice(2_000);
  }

  /** The version that a cache has which saw all until `ms`. */
  revAt(ms: number): number {
    const { rev, oldestRev } = this.#etcd;
    const first = this.#times.find((one) => one.atMs > ms && one.rev > oldestRev);
    return Math.max(first && first.rev <= rev ? first.rev - 1 : rev, oldestRev);
  }
}
