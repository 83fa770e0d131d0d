import type { Obj } from "../api/objects.ts";
import { POOLS, RESERVED } from "../world/kinds.ts";
import { addressAt, RECORDS_DECIDE } from "../world/living.ts";
import type { World } from "../world/world.ts";

export interface PoolRecord {
  readonly id: string;
  readonly podref: string;
}

/** What the API server has, by address: reservations, records, and which of both decides. Ranges of one network, IPv4. */
export class Deciders {
  readonly reservations: ReadonlyMap<string, Obj>;
  readonly records = new Map<string, PoolRecord>();
  readonly #byRecord: (ip: string) => boolean;

  constructor({ server: { etcd }, settings }: World) {
    const pools = [...etcd.all(POOLS).values()];
    this.reservations = new Map([...etcd.all(RESERVED).values()].map((one) => [one.metadata.name, one]));
    for (const { spec } of pools)
      for (const [offset, record] of Object.entries<PoolRecord>(spec.allocations ?? {}))
        this.records.set(addressAt(spec.range, Number(offset)), record);
    const deciding = pools
      .filter(({ metadata }) => metadata.annotations?.[RECORDS_DECIDE])
      .map(({ spec }) => firstThree(spec.range));
    this.#byRecord = (ip) => settings.mode === "coexist" || deciding.includes(firstThree(ip));
  }

  /** Whether the record is what counts. */
  isByRecord(ip: string): boolean {
    return this.#byRecord(ip);
  }

  /** Container ID of whoever has an address. */
  holder(ip: string): string | undefined {
    return this.isByRecord(ip) ? this.records.get(ip)?.id : this.reservations.get(ip)?.["spec"].containerid;
  }
}

/** Each rail of the simulation has a /24 for itself. */
const firstThree = (ip: string): string => ip.split(".").slice(0, 3).join(".");
