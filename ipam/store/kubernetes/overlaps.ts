import type { Cluster } from "../../../kubernetes/cluster.ts";
import { IP_POOLS } from "../../../kubernetes/cluster.ts";
import { toNumber } from "../../address.ts";
import { ownerOfRecord, RECORDS_DECIDE } from "../../whereabouts/objects.ts";
import type { Owner, Pool } from "../store.ts";
import { cidrOfPool, isIn, sharesAddresses } from "./pool-span.ts";
import { PoolView } from "./pool-view.ts";
import type { Pools } from "./pools.ts";

/** Maximum age of the list of pools, and of the records of overlapping ones. */
const OLD_LIST_MS = 30_000;
const OLD_RECORDS_MS = 2_000;

interface Seen<T> {
  readonly at: number;
  readonly value: Promise<T>;
}

/**
 * Records in other pools of the network that share addresses: Whereabouts, too, uses its reservation to keep an address out
 * of two of them, but sometimes loses it. The pools are recognised by their names.
 */
export class Overlaps {
  readonly #cluster: Cluster;
  readonly #pools: Pools;
  readonly #clock: () => number;
  #names: Seen<readonly string[]> | undefined;
  readonly #views = new Map<string, Seen<PoolView | undefined>>();

  constructor(cluster: Cluster, pools: Pools, clock: () => number) {
    this.#cluster = cluster;
    this.#pools = pools;
    this.#clock = clock;
  }

  /** Who has an address by a record in another pool. @throws {ApiError} */
  async holder(pool: Pool, ip: string): Promise<Owner | undefined> {
    const address = toNumber(ip);
    for (const name of await this.#allNames()) {
      const cidr = name === pool.name ? undefined : cidrOfPool(pool.network, name);
      if (!cidr || !isIn(cidr, address, ip.includes(":"))) continue;
      const view = await this.#view(pool, name);
      const record = view?.record(view.keyOf(ip));
      if (record) return ownerOfRecord(record);
    }
    return undefined;
  }

  /** Whether no other pool of its network can contain its addresses. A name that does not tell its range may be any. */
  async isAlone(pool: Pool): Promise<boolean> {
    const prefix = pool.network && `${pool.network}-`;
    const others = (await this.#allNames()).filter((name) => name !== pool.name && name.startsWith(prefix));
    return others.every((name) => {
      const other = cidrOfPool(pool.network, name);
      return other !== undefined && !sharesAddresses(other, pool.cidr);
    });
  }

  #allNames(): Promise<readonly string[]> {
    this.#names = this.#fresh(this.#names, OLD_LIST_MS, async () => {
      const { items } = await this.#cluster.list(IP_POOLS, {
        metadataOnly: true,
        fromCache: true,
        keep: ({ metadata: { name } }) => ({ metadata: { name } }),
      });
      return items.map(({ metadata }) => metadata.name);
    });
    return this.#names.value;
  }

  #view(pool: Pool, name: string): Promise<PoolView | undefined> {
    const seen = this.#fresh(this.#views.get(name), OLD_RECORDS_MS, async () => {
      const object = await this.#pools.get(name);
      if (!object || object.metadata.annotations?.[RECORDS_DECIDE]) return undefined; // such a pool and others ignore each other
      return new PoolView({ ...pool, name, cidr: object.spec.range }, object);
    });
    this.#views.set(name, seen);
    return seen.value;
  }

  /** A failed look is not cached. */
  #fresh<T>(seen: Seen<T> | undefined, oldMs: number, look: () => Promise<T>): Seen<T> {
    if (seen && this.#clock() - seen.at <= oldMs) return seen;
    const value = look();
    const now: Seen<T> = { at: this.#clock(), value };
    value.catch(() => Object.assign(now, { at: Number.NEGATIVE_INFINITY }));
    return now;
  }
}
