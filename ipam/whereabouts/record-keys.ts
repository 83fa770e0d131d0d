import { CniError, CODE } from "../../cni/protocol/error.ts";
import { parseCidr, widthOf } from "../address.ts";
import type { Range } from "../range.ts";

// The keys of `IPPool.spec.allocations`: pkg/storage/kubernetes/ipam.go, v0.9.4, toAllocationMap() and toIPReservationList().

/** Whereabouts reads keys with ParseInt(…, 64) and drops what does not fit. */
export const MAX_OFFSET = (1n << 63n) - 1n;

/** What the keys of a pool count from. */
export interface KeyBase {
  readonly isV6: boolean;
  /** The literal address in `spec.range`, including host bits. */
  readonly base: bigint;
}

/**
 * What the keys of an IPPool count from.
 *
 * @throws {CniError} 7 when the range is invalid.
 */
export function baseOf(specRange: string): KeyBase {
  const cidr = parseCidr(specRange);
  if (cidr) return { isV6: cidr.isV6, base: cidr.value };
  throw new CniError(CODE.INVALID_CONFIG, `cannot use spec.range ${JSON.stringify(specRange)} of an IPPool: want CIDR`);
}

/**
 * Key of an address: decimal |address - base|. Below a base with host bits two addresses share a key, and addressOf()
 * returns the higher one: {@link readableKeyOf} gives only keys that read back.
 *
 * @throws {CniError} 7 beyond 2^63-1: Whereabouts would drop such a record and give out its address again.
 */
export function keyOf(base: bigint, address: bigint): string {
  const offset = address < base ? base - address : address - base;
  if (offset <= MAX_OFFSET) return String(offset);
  throw new CniError(
    CODE.INVALID_CONFIG,
    `cannot record an address ${offset} after the start of its pool: Whereabouts' keys end at ${MAX_OFFSET}; ` +
      "use a range that is not wider than /65, or range_end",
  );
}

/** The address that a key means; undefined for an invalid key, which is somebody's, and stays. */
export function addressOf({ isV6, base }: KeyBase, key: string): bigint | undefined {
  if (!isKey(key)) return undefined;
  const address = base + BigInt(key);
  return address < 1n << BigInt(widthOf(isV6)) ? address : undefined;
}

/** The key of an address that addressOf() reads back; undefined if there is none. */
export function readableKeyOf({ base }: KeyBase, address: bigint): string | undefined {
  const offset = address - base;
  return offset >= 0n && offset <= MAX_OFFSET ? String(offset) : undefined;
}

/** Includes `007`, which Whereabouts reads but never writes. */
export const isKey = (key: string): boolean => /^\d+$/.test(key) && BigInt(key) <= MAX_OFFSET;

/** As Whereabouts writes them. */
export const isCanonicalKey = (key: string): boolean => isKey(key) && String(BigInt(key)) === key;

/** The part of a range that can be recorded in a pool of its own network: the rest has no keys. */
export function withinKeys(range: Range): Range {
  const end = range.network + MAX_OFFSET;
  return range.last <= end ? range : { ...range, last: end };
}
