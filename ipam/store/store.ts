import type { Span } from "../address.ts";
import type { Range } from "../range.ts";

/** Who has an address. An interface is podref and ifname, as in Whereabouts' records; a sandbox of it is a container ID. */
export interface Owner {
  /** `namespace/name` of the pod. */
  readonly podref: string;
  /** Empty in records of Whereabouts before 0.8. */
  readonly ifname: string;
  /** Empty if Whereabouts made the reservation: it writes none. */
  readonly containerId: string;
  readonly podUid?: string;
  /** Name of the node that made the claim. */
  readonly node?: string;
}

/** A sandbox of an interface. `node` is where it ran. */
export type Sandbox = Pick<Owner, "containerId" | "ifname" | "node">;

/** Who has an address that a claim did not get. */
export interface Holder extends Owner {
  /** Not through the pool of the claim: no race was lost, ranges overlap. */
  readonly isElsewhere?: boolean;
}

/** Where addresses are taken from: the object that one range of a network configuration names. */
export interface Pool {
  /** Name of the IPPool object, such as `rail0-10.10.0.0-16`. */
  readonly name: string;
  /** Network and prefix length, host bits masked: `10.10.0.0/16`. */
  readonly cidr: string;
  /** `network_name`: the same address in two networks is two addresses. Empty for the unnamed one. */
  readonly network: string;
  /** `enable_overlapping_ranges`: an address has one owner in all pools of its network; false: only in this pool. */
  readonly overlapping: boolean;
}

export interface Claim {
  readonly pool: Pool;
  /** Canonical, as returned by canonicalIp(). */
  readonly ip: string;
  readonly owner: Owner;
  /**
   * Whether the caller knows that a sandbox of this interface is over, though the store cannot tell: only then, or if it
   * is one of the same pod, by UID, its address passes to this claim. Default: nothing is known.
   */
  readonly isOver?: (holder: Owner) => boolean;
  /** The claim also accepts an address in quarantine; called if it got one: its user must probe the rail first. */
  readonly onQuarantined?: () => void;
  /** A running sandbox already has the address: what is missing is restored, even while claims are suspended. */
  readonly isHeld?: boolean;
  /** For a release: its ADD did not complete, so an earlier sandbox that still has the record is of this pod and node. */
  readonly isUnfinished?: boolean;
}

/** A range of which every node has a slice, with `node_slice_size`. */
export interface SlicedRange {
  /** Name of the NodeSlicePool: network_name, else the network's name. */
  readonly name: string;
  readonly network: string;
  /** The whole range, host bits masked. */
  readonly cidr: string;
  /** As configured: `/24` or `24`. */
  readonly sliceSize: string;
  /** Which addresses may be assigned: a slice without any is never given to a node. */
  readonly range: Range;
}

/** What is known to be taken in a pool. Possibly stale: only claim() decides. */
export interface Taken {
  has(address: bigint): boolean;
  /** The whole run of taken addresses around one, if known (AddressSet): candidates() skips it. */
  run?(address: bigint): Span | undefined;
  /** The canonical addresses that an interface (podref and ifname) holds in this pool, by any sandbox of any pod of that name, in order. */
  of(podref: string, ifname: string): readonly string[];
  /** Canonical addresses in quarantine, oldest first: taken, except for a claim with `onQuarantined`. */
  readonly quarantined?: readonly string[];
  /**
   * The pool as stored, for claims and journal: if reservations decide in it, they are claims even where the configuration
   * says `enable_overlapping_ranges: false`. Absent: as requested.
   */
  readonly pool?: Pool;
  /** Where candidates come from: beside a running Whereabouts, which takes the lowest, from the other end. */
  readonly order: "lowest" | "highest";
}

/** `absent`: nothing was there any more; `foreign`: another interface or a newer sandbox has the address, and keeps it. */
export type Released = "released" | "absent" | "foreign";

/**
 * Where allocations are stored. Every store passes the same contract, test/ipam/store/contract.ts. All methods may be
 * called again after any failure, and by any number of processes and nodes at once.
 *
 * @throws {StoreError} from every method.
 */
export interface Store {
  /** @param options.fresh reads the store itself, not a cache: before "exhausted" is reported. */
  taken(pool: Pool, options?: { readonly fresh?: boolean; readonly signal?: AbortSignal | undefined }): Promise<Taken>;
  /**
   * Takes an address. Atomic: of all callers one gets it. An address that the same interface of the same pod (by UID)
   * holds passes to the sandbox of this claim, so calling again is harmless. A pod of that name with another UID may still
   * run on a node that is cut off: it keeps its address, unless the claim knows that its sandbox is over.
   *
   * @returns undefined if the claim got it; otherwise who has it.
   * @throws {StoreError} also when the outcome stays unclear: the address must then be released.
   */
  claim(claim: Claim, signal?: AbortSignal): Promise<Holder | undefined>;
  /** Releases an address if podref, ifname and container ID are the holder's. Idempotent. */
  release(claim: Claim, signal?: AbortSignal): Promise<Released>;
  /** Addresses of a pool that a sandbox holds, found by container ID and ifname: for attachments that no journal knows. */
  find(pool: Pool, who: Sandbox, signal?: AbortSignal): Promise<Claim[]>;
  holder(pool: Pool, ip: string, signal?: AbortSignal): Promise<Owner | undefined>;
  /** The slice of a node: the one it has, otherwise a free one, which it then keeps. `10.20.1.0/24`. */
  slice(whole: SlicedRange, node: string, signal?: AbortSignal): Promise<string>;
  /** Whether a claim could succeed now. */
  check(signal?: AbortSignal): Promise<void>;
}

/**
 * `unavailable`: no answer, or it says so (try again); `refused`: it said no, and will again until somebody changes
 * something (permission, missing CRD, an invalid name); `unclear`: it may or may not have been done.
 */
export type StoreFailure = "unavailable" | "refused" | "unclear";

/** Branch on `kind`; the message says what could not be done, why, and what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly kind: StoreFailure;

  constructor(kind: StoreFailure, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.kind = kind;
  }
}
