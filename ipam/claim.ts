import { CniError, CODE } from "../cni/protocol/error.ts";
import { inSpan, parseIp, spanOf, toNumber, toText } from "./address.ts";
import { candidates, exhausted, hashedStart, type IsTaken, type Order } from "./allocate.ts";
import { contentionOf } from "./contention.ts";
import type { IpamHost } from "./host.ts";
import type { ClaimJournal, ClaimRecord } from "./journal.ts";
import type { Range } from "./range.ts";
import type { Owner, Pool, Store, Taken } from "./store/store.ts";
import type { PoolRange } from "./whereabouts/config.ts";

/** What an ADD wants of one range besides "any". */
export interface Wish {
  /** Addresses that the pod asks for; those in this range are the only ones that will do. */
  readonly requested: readonly string[];
  /** The offset that other rails of the same sandbox have, where it is free. */
  readonly sameIndex: boolean;
  /** What an earlier ADD of this attachment holds here. */
  readonly kept: string | undefined;
}

/** Looks at a pool before it counts as exhausted: the first one may be old, the others may lose to a storm. */
const MAX_LOOKS = 5;

/** Races lost in a row after which what is remembered of the pool is too old to go on with. */
const MAX_LOSSES = 8;

/**
 * Claims addresses for one attachment, one range after the other. Each candidate is on disk before the store is asked,
 * so that `record` always names all that may have been claimed.
 */
export class Claimer {
  record: ClaimRecord;
  readonly #store: Store;
  readonly #journal: ClaimJournal;
  readonly #host: IpamHost;

  constructor(record: ClaimRecord, store: Store, journal: ClaimJournal, host: IpamHost) {
    this.record = record;
    this.#store = store;
    this.#journal = journal;
    this.#host = host;
  }

  /**
   * @returns the address, canonical.
   * @throws {CniError} when it is not to be had: the pool is exhausted, or the requested address has an owner.
   * @throws {StoreError}
   */
  async claim({ pool, range }: PoolRange, wish: Wish): Promise<string> {
    const asked = wish.requested.find((ip) => contains(range, ip));
    if (asked) return await this.#claimAsked(pool, asked);
    for (let look = 0; look < MAX_LOOKS; look++) {
      const taken = await this.#store.taken(pool, { fresh: look > 0, signal: this.#host.signal });
      const ip = await this.#claimAny(pool, range, taken, wish);
      if (ip) return ip;
      if (look > 0 && next(range, (a) => taken.has(a), taken.order) === undefined) break;
    }
    throw exhausted(range);
  }

  async #claimAsked(pool: Pool, ip: string): Promise<string> {
    const holder = await this.#try(pool, ip);
    if (!holder) return ip;
    throw new CniError(
      CODE.FAILED,
      `cannot give ${ip}, which the pod asks for: ${holder.podref} (${holder.ifname}) has it; ` +
        "ask for another one, or end that pod",
    );
  }

  /** @returns undefined when every address is taken, or so many were lost that a fresh look is due. */
  async #claimAny(pool: Pool, range: Range, taken: Taken, wish: Wish): Promise<string | undefined> {
    const { owner } = this.record;
    const first = [wish.kept, taken.of(owner.podref, owner.ifname), wish.sameIndex && this.#sameIndex(range, taken)];
    for (const ip of first) if (ip && !(await this.#try(pool, ip))) return ip;
    const others = contentionOf(this.#store, pool);
    let order: Order = others.start === undefined ? taken.order : { from: others.start };
    for (let losses = 0; losses < MAX_LOSSES; losses++) {
      const address = next(range, (a) => taken.has(a) || others.busy.has(a), order);
      if (address === undefined) return undefined;
      const ip = toText({ isV6: range.isV6, value: address });
      if (!(await this.#try(pool, ip))) {
        if (losses > 0 || others.start !== undefined) others.won(address);
        return ip;
      }
      others.lost();
      order = { from: hashedStart(range, `${owner.node}/${owner.podref}/${owner.ifname}/${losses}`) };
    }
    return undefined;
  }

  /** @returns the holder when it is somebody else's; then it is no candidate any more. */
  async #try(pool: Pool, ip: string): Promise<Owner | undefined> {
    const { owner, addresses } = this.record;
    const address = toNumber(ip);
    const { busy } = contentionOf(this.#store, pool);
    busy.add(address);
    try {
      this.record = { ...this.record, addresses: [...addresses, { pool, ip }] };
      this.#journal.write(this.record);
      this.#host.step("ipam-add-candidate-journalled");
      const holder = await this.#store.claim({ pool, ip, owner }, this.#host.signal);
      if (holder) this.record = { ...this.record, addresses };
      else this.#host.step("ipam-add-claimed");
      return holder;
    } finally {
      busy.delete(address);
    }
  }

  /** An address at the offset that this sandbox has on another rail. */
  #sameIndex(range: Range, taken: Taken): string | undefined {
    const { containerId, ifname } = this.record.owner;
    for (const { owner, addresses } of this.#journal.all()) {
      if (owner.containerId !== containerId || owner.ifname === ifname) continue;
      for (const { pool, ip } of addresses) {
        const value = range.network + (toNumber(ip) - toNumber(pool.cidr.split("/")[0]!));
        if (inSpan(value, range) && !taken.has(value)) return toText({ isV6: range.isV6, value });
      }
    }
    return undefined;
  }
}

const next = (range: Range, isTaken: IsTaken, order: Order): bigint | undefined =>
  candidates(range, isTaken, order).next().value ?? undefined;

/** Whether an address lies in the range's network, in or out of its bounds. */
function contains(range: Range, ip: string): boolean {
  const address = parseIp(ip);
  return address?.isV6 === range.isV6 && inSpan(address.value, spanOf({ ...range, value: range.network }));
}
