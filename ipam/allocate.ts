import { findSpan, inSpan, type Span } from "./address.ts";
import type { Range } from "./range.ts";

/** Whether an address is taken: yes or no, or the whole run of taken addresses around it, which is then skipped. */
export type IsTaken = (address: bigint) => boolean | Span;

/**
 * `from`: upwards from there, then from the first address on; where `end` is the highest, this covers the upper half, and
 * the lower half follows downwards.
 */
export type Order = End | { readonly from: bigint; readonly end: End };
export type End = "lowest" | "highest";

/**
 * The addresses of a range that may be claimed, in order. Lazy: what is taken meanwhile is skipped, and neither an
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

/** Where callers spread out: the half away from Whereabouts', which takes the lowest; without a Whereabouts, everywhere. */
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

/** Where a caller that lost a race continues, so that a storm of them spreads out: the same text gives the same place. */
export function hashedStart(range: Range, seedText: string, end: End = "lowest"): bigint {
  const { first, last } = partFrom(range, end);
  const hash = (BigInt(murmur(seedText, 1)) << 32n) | BigInt(murmur(seedText, 2));
  return last < first ? first : first + (hash % (last - first + 1n));
}

/** MurmurHash3, 32 bits, over UTF-16 units: no node:crypto, so that it also runs in a browser. */
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
