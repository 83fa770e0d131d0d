import { findSpan, inSpan, toNumber, toText } from "./address.ts";
import { Allocator } from "./allocator.ts";
import type { IpamHost } from "./host.ts";
import type { ClaimJournal, ClaimRecord } from "./journal.ts";
import { claimOrder, mayKeep, type PoolRange } from "./pool-range.ts";
import type { Range } from "./range.ts";
import { isAlive } from "./sandbox.ts";
import { type Owner, type Pool, type Store, StoreError, type Taken } from "./store/store.ts";

/** What an ADD wants besides "any". */
export interface Wish {
  /** For each range the address that the pod requests: the only acceptable one. */
  readonly asked: readonly (string | undefined)[];
  /** What the interface has in any case, recorded nowhere. */
  readonly fixed: readonly string[];
  /** Prefers the offset that other rails of the same sandbox have. */
  readonly sameIndex: boolean;
  /** What an earlier ADD of this attachment holds. */
  readonly kept: ClaimRecord["addresses"];
}

interface RangeWish extends Pick<Wish, "sameIndex" | "kept"> {
  readonly asked: string | undefined;
  readonly given: readonly string[];
  readonly ranges: readonly PoolRange[];
}

/**
 * Claims addresses for one attachment, range by range. Each candidate is on disk before the store is asked, so that
 * `record` always names everything that may have been claimed.
 */
export class Claimer {
  record: ClaimRecord;
  #isWritten = false;
  /** A claim was sent, and has not been answered. */
  #isOpen = false;
  /** Addresses that came out of quarantine: they may still be in use. */
  readonly suspect = new Set<string>();
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
      onQuarantined: (ip) => this.suspect.add(ip),
    });
  }

  /**
   * One address from every range, all different: ranges may overlap.
   *
   * @returns the addresses, canonical, in the order of the ranges.
   * @throws {CniError} when one cannot be had: the pool is exhausted, or the requested address has an owner.
   * @throws {StoreError}
   */
  async claimAll(ranges: readonly PoolRange[], wish: Wish): Promise<string[]> {
    const ips = new Map<number, string>();
    for (const i of claimOrder(ranges)) {
      const given = [
        ...wish.fixed,
        ...wish.asked.filter((ip, other) => ip !== undefined && other !== i),
        ...ips.values(),
      ];
      ips.set(i, await this.#claim(ranges[i]!, { ...wish, given: given as string[], asked: wish.asked[i], ranges }));
    }
    return ranges.map((_, i) => ips.get(i)!);
  }

  async #claim(source: PoolRange, { asked, given, sameIndex, kept, ranges }: RangeWish): Promise<string> {
    try {
      return await this.#allocator.allocate(source, this.record.owner, {
        asked,
        given,
        kept: kept.filter(({ pool }) => pool.name === source.pool.name).map(({ ip }) => ip),
        mayKeep: mayKeep(source, ranges),
        preferred: (taken) => (sameIndex ? this.#sameIndex(source.range, taken) : []),
      });
    } catch (error) {
      const isAnswered = error instanceof StoreError && error.kind !== "unclear";
      if (this.#isOpen && !isAnswered) this.record = { ...this.record, unfinished: "unclear" };
      throw error;
    }
  }

  /** ADD is complete. Not synced: after a power cut there is no pod. */
  hold(): void {
    this.#save({ phase: "held", addresses: this.record.addresses }, { synced: false });
  }

  #note(pool: Pool, ip: string): void {
    this.#save({ addresses: [...this.record.addresses, { pool, ip }] });
    this.#isOpen = true;
    this.#host.step("ipam-add-candidate-journalled");
  }

  /** For a sandbox added on this node: it is one of the same pod, or no longer runs. One that is unknown here may run elsewhere. */
  #isOver({ containerId, ifname, podref }: Owner): boolean {
    const found = this.#journal.find(containerId, ifname);
    if (found?.owner.podref !== podref) return false;
    const { podUid } = this.record.owner;
    return (podUid !== undefined && found.owner.podUid === podUid) || !isAlive(found, this.#host);
  }

  /** Written whole the first time, replacing what an earlier ADD left. */
  #save(change: Partial<ClaimRecord>, options?: { synced: boolean }): void {
    this.record = { ...this.record, ...change };
    if (this.#isWritten) this.#journal.update(this.record, change, options);
    else this.#journal.write(this.record);
    this.#isWritten = true;
  }

  /** An address with another holder is no longer a candidate. */
  #settle(holder: Owner | undefined): void {
    this.#isOpen = false;
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
