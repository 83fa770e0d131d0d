import { CniError, CODE } from "../cni/protocol/error.ts";
import { findSpan, inSpan, parseCidr, type Span, toText } from "./address.ts";
import { cidrOf, type Range } from "./range.ts";

/** Whether an address is taken: yes or no, or the whole run of taken addresses around it, which is then jumped over. */
export type IsTaken = (address: bigint) => boolean | Span;

/**
 * `from`: upwards from there, then from the first address on; where `end` is the highest, the upper half comes first in
 * this way, and then the lower one downwards.
 */
export type Order = End | { readonly from: bigint; readonly end: End };
export type End = "lowest" | "highest";

/**
 * The addresses of a range that may be claimed, in order. Lazy: what is taken meanwhile is left out, and neither an
 * excluded block nor a run of taken addresses is walked through, so a /30 of IPv6 that excludes a /32 takes no time.
 */
export function* candidates(range: Range, isTaken: IsTaken, order: Order = "lowest"): Generator<bigint> {
  const { from, end } = typeof order === "object" ? order : { from: undefined, end: order };
  const part = partFrom(range, end);
  if (from !== undefined && inSpan(from, part)) {
    yield* upwards(range, isTaken, from, part.last);
    yield* upwards(range, isTaken, part.first, from - 1n);
    yield* downwards(range, isTaken, range.first, part.first - 1n);
  } else if (end === "highest") yield* downwards(range, isTaken, range.first, range.last);
  else yield* upwards(range, isTaken, range.first, range.last);
}

/** Where callers spread out: the half that is away from Whereabouts', which takes the lowest; without one, everywhere. */
function partFrom({ first, last }: Span, end: End): Span {
  return end === "lowest" || last < first ? { first, last } : { first: last - (last - first) / 2n, last };
}

function* upwards(range: Range, isTaken: IsTaken, first: bigint, last: bigint): Generator<bigint> {
  for (let at = first; at <= last; at++) {
    const blocked = blockedAt(range, isTaken, at);
    if (blocked) at = blocked.last;
    else yield at;
  }
}

function* downwards(range: Range, isTaken: IsTaken, first: bigint, last: bigint): Generator<bigint> {
  for (let at = last; at >= first; at--) {
    const blocked = blockedAt(range, isTaken, at);
    if (blocked) at = blocked.first;
    else yield at;
  }
}

function blockedAt({ excluded }: Range, isTaken: IsTaken, at: bigint): Span | undefined {
  const taken = findSpan(excluded, at) ?? isTaken(at);
  return typeof taken === "object" ? taken : taken ? { first: at, last: at } : undefined;
}

/** Where a caller goes on that lost a race, so that a storm of them spreads out: the same text, the same place. */
export function hashedStart(range: Range, seedText: string, end: End = "lowest"): bigint {
  const { first, last } = partFrom(range, end);
  const hash = (BigInt(murmur(seedText, 1)) << 32n) | BigInt(murmur(seedText, 2));
  return last < first ? first : first + (hash % (last - first + 1n));
}

/** MurmurHash3, 32 bits, over UTF-16 units: no node:crypto, so that it runs in a browser too. */
function murmur(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) {
    const block = Math.imul(text.charCodeAt(i), 0xcc9e2d51);
    hash ^= Math.imul((block << 15) | (block >>> 17), 0x1b873593);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  hash = Math.imul(hash ^ text.length ^ ((hash ^ text.length) >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Whereabouts reads keys with ParseInt(…, 64) and drops what does not fit. */
export const MAX_OFFSET = (1n << 63n) - 1n;

/**
 * What the keys of an IPPool count from: the literal address in its `spec.range`, host bits and all.
 *
 * @throws {CniError} 7 when the range is none.
 */
export function baseOf(specRange: string): { readonly isV6: boolean; readonly base: bigint } {
  const cidr = parseCidr(specRange);
  if (cidr) return { isV6: cidr.isV6, base: cidr.value };
  throw new CniError(CODE.INVALID_CONFIG, `cannot use spec.range ${JSON.stringify(specRange)} of an IPPool: want CIDR`);
}

/**
 * Key of an address in `IPPool.spec.allocations`: decimal |address - base|.
 *
 * @throws {CniError} 7 beyond 2^63-1: Whereabouts would drop such a record and give its address out again.
 */
export function keyOf(base: bigint, address: bigint): string {
  const offset = address < base ? base - address : address - base;
  if (offset <= MAX_OFFSET) return String(offset);
  throw new CniError(
    CODE.INVALID_CONFIG,
    `cannot record an address ${offset} behind the start of its pool: Whereabouts' keys end at ${MAX_OFFSET}; ` +
      "use a range that is not wider than /65, or range_end",
  );
}

/** The address that a key means; undefined for a key that is none: it is somebody's, and stays as it is. */
export function addressOf({ isV6, base }: { readonly isV6: boolean; readonly base: bigint }, key: string) {
  if (!/^\d{1,19}$/.test(key) || BigInt(key) > MAX_OFFSET) return undefined;
  const address = base + BigInt(key);
  return address < 1n << (isV6 ? 128n : 32n) ? address : undefined;
}
