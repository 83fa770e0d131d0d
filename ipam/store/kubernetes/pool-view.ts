import { isInNetwork, toNumber, toText } from "../../address.ts";
import { AddressSet } from "../../address-set.ts";
import { ipOfReservation } from "../../whereabouts/names.ts";
import {
  ADOPTED,
  type IpPool,
  LABEL,
  MIXED,
  ownerOfRecord,
  type PoolRecord,
  RECORDS_DECIDE,
  type Reservation,
  textOf,
} from "../../whereabouts/objects.ts";
import { isQuarantined, quarantinedMs } from "../../whereabouts/quarantine.ts";
import { addressOf, baseOf, isCanonicalKey, keyOf } from "../../whereabouts/record-keys.ts";
import { interfaceKey } from "../memory.ts";
import type { Owner, Pool, Taken } from "../store.ts";

type Interface = Pick<Owner, "podref" | "ifname">;

/** What this process knows of one IPPool and of the reservations in its range. Possibly stale; claims correct it. */
export class PoolView {
  readonly pool: Pool;
  /** Every record has its reservation, so that a reservation alone decides. */
  isAdopted = false;
  /** Its records decide, for all its users. */
  recordsDecide = false;
  /** The same, and there may be reservations without a record. */
  isMixed = false;
  #base: ReturnType<typeof baseOf>;
  #records = new Map<bigint, PoolRecord>();
  /** Keys in a form that Whereabouts never writes (`007`), by their address. */
  #oddKeys = new Map<bigint, string>();
  #reserved = new Map<string, Interface | undefined>();
  /** When the addresses in quarantine entered it, as of the last look at the reservations. */
  #quarantined = new Map<string, number>();
  #taken = new AddressSet();
  /** Addresses by interface that came from this pool. More than one while several pods of one name are not gone. */
  #own = new Map<string, Set<bigint>>();

  /** @throws {CniError} for a pool whose `spec.range` is invalid. */
  constructor(pool: Pool, object: IpPool) {
    this.pool = pool;
    this.#base = baseOf(object.spec.range);
    this.update(object);
  }

  get recordCount(): number {
    return this.#records.size;
  }

  /** Updates the records from the server's state. Keys that are not offsets are somebody else's, and left alone. */
  update({ metadata, spec }: IpPool): void {
    const known = [...this.#reserved];
    this.#base = baseOf(spec.range);
    this.isAdopted = metadata.annotations?.[ADOPTED] !== undefined;
    this.recordsDecide = metadata.annotations?.[RECORDS_DECIDE] !== undefined;
    this.isMixed = metadata.annotations?.[RECORDS_DECIDE] === MIXED;
    this.#records = new Map();
    this.#oddKeys = new Map();
    this.#reserved = new Map();
    this.#taken = new AddressSet();
    this.#own = new Map();
    for (const [key, record] of Object.entries(spec.allocations ?? {})) this.setRecord(key, record);
    for (const [ip, owner] of known) this.add(ip, owner);
  }

  /** Expects all of the network's, possibly with others; the records stay. */
  updateReservations(reservations: readonly Reservation[]): void {
    for (const [ip] of this.#reserved) if (!this.#records.has(toNumber(ip))) this.#taken.delete(toNumber(ip));
    this.#reserved = new Map();
    this.#own = new Map();
    for (const [address, record] of this.#records) this.#give(keyOfRecord(record), address);
    this.#quarantined = new Map();
    for (const [ip, owner] of this.#within(reservations)) this.add(ip, owner);
  }

  *#within(reservations: readonly Reservation[]): Generator<[ip: string, owner: Interface | undefined]> {
    for (const { metadata, spec } of reservations) {
      const ip = ipOfReservation(this.pool.network, metadata.name);
      if (ip === undefined || !isInNetwork(ip, this.pool.cidr)) continue;
      if (isQuarantined({ metadata, spec })) this.#quarantined.set(ip, quarantinedMs(metadata)!);
      const isThisPools = textOf(metadata, LABEL.pool) === this.pool.name;
      yield [ip, isThisPools ? { podref: spec.podref, ifname: spec.ifname ?? "" } : undefined];
    }
  }

  /** @param owner undefined if it is not this pool's, or unknown. */
  add(ip: string, owner?: Interface): void {
    this.#reserved.set(ip, owner);
    this.#taken.add(toNumber(ip));
    if (owner) this.#give(interfaceKey(owner.podref, owner.ifname), toNumber(ip));
  }

  remove(ip: string, owner: Interface): void {
    this.#reserved.delete(ip);
    this.#forget(toNumber(ip), owner);
  }

  #forget(address: bigint, { podref, ifname }: Interface): void {
    this.#taken.delete(address);
    this.#records.delete(address);
    this.#oddKeys.delete(address);
    const key = interfaceKey(podref, ifname);
    const own = this.#own.get(key);
    if (own?.delete(address) && own.size === 0) this.#own.delete(key);
  }

  /** @throws {CniError} for an address too far from the pool's base. */
  keyOf(ip: string): string {
    const address = toNumber(ip);
    return this.#oddKeys.get(address) ?? keyOf(this.#base.base, address);
  }

  /** The cached record. */
  record(key: string): PoolRecord | undefined {
    const address = addressOf(this.#base, key);
    return address === undefined ? undefined : this.#records.get(address);
  }

  setRecord(key: string, record: PoolRecord | undefined): void {
    const address = addressOf(this.#base, key);
    if (address === undefined) return;
    const before = this.#records.get(address);
    if (!record) {
      if (before) this.#forget(address, ownerOfRecord(before));
      return;
    }
    if (!isCanonicalKey(key) && before && this.#oddKeys.get(address) !== key) return; // the other one is Whereabouts' own
    if (!isCanonicalKey(key)) this.#oddKeys.set(address, key);
    this.#records.set(address, record);
    this.#taken.add(address);
    this.#give(keyOfRecord(record), address);
  }

  #give(key: string, address: bigint): void {
    const own = this.#own.get(key);
    if (own) own.add(address);
    else this.#own.set(key, new Set([address]));
  }

  /** The canonical address of a key; undefined for an invalid key. */
  ipOf(key: string): string | undefined {
    const value = addressOf(this.#base, key);
    return value === undefined ? undefined : toText({ isV6: this.#base.isV6, value });
  }

  taken(order: Taken["order"]): Taken {
    return {
      order,
      quarantined: [...this.#quarantined].sort(([, a], [, b]) => a - b).map(([ip]) => ip),
      has: (address) => this.#taken.has(address),
      run: (address) => this.#taken.run(address),
      of: (podref, ifname) =>
        [...(this.#own.get(interfaceKey(podref, ifname)) ?? [])]
          .sort((a, b) => (a < b ? -1 : 1))
          .map((value) => toText({ isV6: this.#base.isV6, value })),
    };
  }
}

const keyOfRecord = ({ podref, ifname = "" }: PoolRecord): string => interfaceKey(podref, ifname);
