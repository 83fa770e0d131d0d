import { CniError, CODE } from "../cni/protocol/error.ts";
import { findSpan, inSpan, toNumber, toText } from "./address.ts";
import { AddressSet } from "./address-set.ts";
import { candidates, hashedStart, type IsTaken, type Order } from "./allocate.ts";
import { contentionOf } from "./contention.ts";
import { ExhaustedError } from "./exhausted.ts";
import type { PoolRange } from "./pool-range.ts";
import { cidrOf, type Range } from "./range.ts";
import type { Claim, Holder, Owner, Pool, Store, Taken } from "./store/store.ts";

/** What a caller wants besides "any address". All canonical. */
export interface Preference {
  /** The only address that is acceptable. */
  readonly asked?: string | undefined;
  /** What the interface is known to have. */
  readonly kept?: readonly string[];
  /** What the interface has through other ranges: taken, whatever the store says. */
  readonly given?: readonly string[];
  /** Whether an address that the interface already holds in the pool may be used for this range; default: any. */
  readonly mayKeep?: (address: bigint) => boolean;
  /** Tried before all others, unless the interface already has one. */
  readonly preferred?: (taken: Taken) => readonly string[];
}

export interface AllocatorOptions {
  readonly signal?: AbortSignal;
  /** Called before the store is asked: from then on the address may be the owner's, whatever happens. */
  readonly beforeClaim?: (pool: Pool, ip: string) => void;
  /** Called with an address that was in quarantine: its user must probe the rail first. Absent: such addresses are never taken. */
  readonly onQuarantined?: (ip: string) => void;
  /** {@link Claim.isOver} */
  readonly isOver?: (holder: Owner) => boolean;
  /** @param holder who has it; undefined: it is now the owner's. */
  readonly afterClaim?: (pool: Pool, ip: string, holder: Owner | undefined) => void;
}

/** How often a call looks at a pool before it gives up: the first look may be stale, the others may lose to a storm. */
const MAX_LOOKS = 5;

/** Races lost in a row after which the cached state of the pool is too old to continue with. */
const MAX_LOSSES = 8;

/** Claims lost to holders in other pools, which a look at the pool does not show; also stops for a store that lies. */
const MAX_ELSEWHERE = 4_096;

/** What one call knows beyond what the store says about a pool. */
interface Known {
  /** What must not be tried: the interface's own through other ranges, and those that turned out to be held. */
  readonly barred: AddressSet;
  elsewhere: number;
}

/** Allocates addresses from ranges, through any store, concurrently with any number of other allocators. */
export class Allocator {
  readonly #store: Store;
  readonly #options: AllocatorOptions;

  constructor(store: Store, options: AllocatorOptions = {}) {
    this.#store = store;
    this.#options = options;
  }

  /**
   * Allocates one address for an interface. Idempotent: the interface (podref and ifname) of this pod keeps what it has in this pool.
   *
   * @returns the address, canonical.
   * @throws {ExhaustedError} 999 when a fresh look at the pool, by this call or another a moment ago, showed that no address is free.
   * @throws {CniError} when none can be had: the requested one has an owner (100), or others were faster each time (11).
   * @throws {StoreError} when the store fails; beforeClaim() has then named what may have been claimed.
   */
  async allocate(source: PoolRange, owner: Owner, wish: Preference = {}): Promise<string> {
    const { pool, range } = source;
    if (wish.asked) return await this.#claimAsked(pool, wish.asked, owner);
    const { signal } = this.#options;
    const known: Known = { barred: new AddressSet(wish.given?.map(toNumber)), elsewhere: 0 };
    for (let look = 0; look < MAX_LOOKS && known.elsewhere < MAX_ELSEWHERE; look++) {
      const taken = await this.#store.taken(pool, { fresh: look > 0, signal });
      const isFull = next(range, taken, known, () => false, taken.order) === undefined;
      const kept = { pool: taken.pool ?? pool, range };
      const ip = await this.#claimAny(kept, owner, firstOf(wish, owner, taken, known), taken, known);
      if (ip) return ip;
      if (!isFull) continue;
      const last = await this.#claimLast(kept, owner, taken, known);
      if (last) return last;
      if (this.#isSeen(source, wish, known, look)) throw new ExhaustedError(range);
    }
    throw busy(source);
  }

  /** Whether it was by a fresh look, of this call or another a moment ago, that the range was full: not every ADD asks about a full pool. */
  #isSeen({ pool, range }: PoolRange, { given = [] }: Preference, { elsewhere }: Known, look: number): boolean {
    const others = contentionOf(this.#store, pool);
    if (look === 0) return others.wasFull(range);
    if (given.length === 0 && elsewhere === 0) others.sawFull(range);
    return true;
  }

  async #claimAsked(pool: Pool, ip: string, owner: Owner): Promise<string> {
    const { signal } = this.#options;
    const kept = pool.overlapping ? pool : ((await this.#store.taken(pool, { signal })).pool ?? pool);
    const holder = await this.#try(kept, ip, owner);
    if (!holder) return ip;
    throw new CniError(
      CODE.FAILED,
      `cannot give ${ip}, which the pod asks for: ${holderText(holder)} has it; ` +
        "ask for another one, or end that pod",
    );
  }

  /** @returns undefined when every address is taken, or when so many races were lost that a fresh look is due. */
  async #claimAny(
    { pool, range }: PoolRange,
    owner: Owner,
    first: readonly string[],
    seen: Taken,
    known: Known,
  ): Promise<string | undefined> {
    for (const ip of first) if (!(await this.#try(pool, ip, owner))) return ip;
    const others = contentionOf(this.#store, pool);
    let taken = seen;
    for (let losses = 0; losses < MAX_LOSSES && known.elsewhere < MAX_ELSEWHERE; ) {
      while (others.ahead) {
        await others.ahead;
        taken = await this.#store.taken(pool, { signal: this.#options.signal });
      }
      const { start } = others;
      const order: Order = start === undefined ? taken.order : { from: start, end: taken.order };
      const address = next(range, taken, known, (a) => others.busy.has(a), order);
      if (address === undefined) return undefined;
      const ip = toText({ isV6: range.isV6, value: address });
      const claim = this.#try(pool, ip, owner);
      if (taken.order === "lowest") others.sent(start, claim); // beside Whereabouts claims come in batches: nobody waits
      const holder = await claim;
      if (!holder) {
        others.won(address);
        return ip;
      }
      if (holder.isElsewhere) {
        known.barred.add(address);
        known.elsewhere++;
        continue;
      }
      losses++;
      others.lost(start, (jump) => hashedStart(range, `${owner.node}/${jump}`, taken.order));
    }
    return undefined;
  }

  /** Claims an address in quarantine, when nothing else is left. */
  async #claimLast({ pool, range }: PoolRange, owner: Owner, { quarantined = [] }: Taken, { barred }: Known) {
    const { onQuarantined } = this.#options;
    if (!onQuarantined) return undefined;
    for (const ip of quarantined) {
      const address = toNumber(ip);
      if (!inSpan(address, range) || findSpan(range.excluded, address) || barred.has(address)) continue;
      if (!(await this.#try(pool, ip, owner, { onQuarantined: () => onQuarantined(ip) }))) return ip;
    }
    return undefined;
  }

  /** @returns the holder if it is another. */
  async #try(
    pool: Pool,
    ip: string,
    owner: Owner,
    more: Pick<Claim, "onQuarantined"> = {},
  ): Promise<Holder | undefined> {
    const { beforeClaim, afterClaim, isOver, signal } = this.#options;
    const address = toNumber(ip);
    const { busy } = contentionOf(this.#store, pool);
    busy.add(address);
    try {
      beforeClaim?.(pool, ip);
      const holder = await this.#store.claim({ pool, ip, owner, ...(isOver && { isOver }), ...more }, signal);
      afterClaim?.(pool, ip, holder);
      return holder;
    } finally {
      busy.delete(address);
    }
  }
}

/** Stored records do not always say whose they are. */
const holderText = ({ podref, ifname }: Holder): string =>
  `${podref || "somebody whose record does not name a pod"}${ifname && ` (${ifname})`}`;

/** What is tried before any other: what the interface has, then what its caller prefers. */
function firstOf(
  { kept = [], mayKeep = () => true, preferred }: Preference,
  owner: Owner,
  taken: Taken,
  { barred }: Known,
) {
  const held = [...kept, ...taken.of(owner.podref, owner.ifname)].filter((ip) => mayKeep(toNumber(ip)));
  return [...new Set([...held, ...(preferred?.(taken) ?? [])])].filter((ip) => !barred.has(toNumber(ip)));
}

function next(range: Range, taken: Taken, { barred }: Known, isBusy: (address: bigint) => boolean, order: Order) {
  const isTaken: IsTaken = (address) =>
    barred.run(address) ?? taken.run?.(address) ?? (taken.has(address) || isBusy(address));
  return candidates(range, isTaken, order).next().value ?? undefined;
}

const busy = ({ pool, range }: PoolRange): CniError =>
  new CniError(
    CODE.TRY_AGAIN_LATER,
    `cannot give an address of ${cidrOf(range)}: pool ${pool.name} is not full, but others were faster every time; try again`,
  );
