import { findSpan, inSpan, parseIp, toNumber, toText } from "./address.ts";
import { Allocator } from "./allocator.ts";
import type { IpamHost } from "./host.ts";
import type { ClaimJournal, ClaimRecord } from "./journal.ts";
import type { PoolRange } from "./pool-range.ts";
import { contains, type Range } from "./range.ts";
import { isAlive } from "./sandbox.ts";
import type { Owner, Pool, Store, Taken } from "./store/store.ts";

/** What an ADD wants of one range besides "any". */
export interface Wish {
  /** Addresses that the pod asks for; those in this range are the only ones that will do. */
  readonly requested: readonly string[];
  /** The offset that other rails of the same sandbox have, where it is free. */
  readonly sameIndex: boolean;
  /** What an earlier ADD of this attachment holds here. */
  readonly kept: string | undefined;
}

/**
 * Claims addresses for one attachment, one range after the other. Each candidate is on disk before the store is asked,
 * so that `record` always names all that may have been claimed.
 */
export class Claimer {
  record: ClaimRecord;
  #isWritten = false;
  readonly #allocator: Allocator;
  readonly #journal: ClaimJournal;
  readonly #host: IpamHost;

  constructor(record: ClaimRecord, store: Store, journal: ClaimJournal, host: IpamHost) {
    this.record = record;
    this.#journal = journal;
    this.#host = host;
    this.#allocator = new Allocator(store, {
      signal: host.signal,
      beforeClaim: (pool, ip) => this.#note(pool, ip),
      afterClaim: (_pool, _ip, holder) => this.#settle(holder),
      isOver: (holder) => this.#isOver(holder),
    });
  }

  /**
   * @returns the address, canonical.
   * @throws {CniError} when it is not to be had: the pool is exhausted, or the requested address has an owner.
   * @throws {StoreError}
   */
  claim(source: PoolRange, { requested, sameIndex, kept }: Wish): Promise<string> {
    const { addresses, owner } = this.record;
    const given = new Set(addresses.map(({ ip }) => ip)); // ranges may overlap
    const asked = requested.find((ip) => contains(source.range, parseIp(ip)!) && !given.has(ip));
    return this.#allocator.allocate(source, owner, {
      asked,
      kept,
      preferred: (taken) => (sameIndex ? this.#sameIndex(source.range, taken) : []),
    });
  }

  /** ADD is done. Not synced: after a power cut there is no pod. */
  hold(): void {
    this.#save({ phase: "held", addresses: this.record.addresses }, { synced: false });
  }

  #note(pool: Pool, ip: string): void {
    this.#save({ addresses: [...this.record.addresses, { pool, ip }] });
    this.#host.step("ipam-add-candidate-journalled");
  }

  /** Of a sandbox that was added on this node: it is one of the same pod, or runs no more. What nobody here knows may run elsewhere. */
  #isOver({ containerId, ifname, podref }: Owner): boolean {
    const found = this.#journal.find(containerId, ifname);
    if (found?.owner.podref !== podref) return false;
    const { podUid } = this.record.owner;
    return (podUid !== undefined && found.owner.podUid === podUid) || !isAlive(found, this.#host);
  }

  /** The first time whole, in the place of what an earlier ADD left. */
  #save(change: Partial<ClaimRecord>, options?: { synced: boolean }): void {
    this.record = { ...this.record, ...change };
    if (this.#isWritten) this.#journal.update(this.record, change, options);
    else this.#journal.write(this.record);
    this.#isWritten = true;
  }

  /** What is somebody else's is no candidate any more. */
  #settle(holder: Owner | undefined): void {
    if (holder) this.record = { ...this.record, addresses: this.record.addresses.slice(0, -1) };
    else this.#host.step("ipam-add-claimed");
  }

  /** The addresses at the offsets that this sandbox has on other rails. */
  #sameIndex(range: Range, taken: Taken): string[] {
    const { containerId, ifname } = this.record.owner;
    return [...this.#journal.all()]
      .filter(({ owner }) => owner.containerId === containerId && owner.ifname !== ifname)
      .flatMap(({ addresses }) => addresses)
      .map(({ pool, ip }) => range.network + (toNumber(ip) - toNumber(pool.cidr.split("/")[0]!)))
      .filter((value) => inSpan(value, range) && !findSpan(range.excluded, value) && !taken.has(value))
      .map((value) => toText({ isV6: range.isV6, value }));
  }
}
