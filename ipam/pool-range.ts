import type { Range } from "./range.ts";
import type { Pool } from "./store/store.ts";

/** One range of a configuration, which yields one address, and the pool that stores who has its addresses. */
export interface PoolRange {
  readonly pool: Pool;
  readonly range: Range;
}

/**
 * The order in which the ranges of one interface take their addresses, as indices: that of the configuration, except that
 * of overlapping ranges the narrow ones come first, since what they need must not go to a wide one that has other choices.
 */
export function claimOrder(ranges: readonly PoolRange[]): number[] {
  const order = ranges.map((_, i) => i);
  const width = (i: number): bigint => ranges[i]!.range.last - ranges[i]!.range.first;
  const doOverlap = order.some((i) => order.some((other) => other > i && overlap(ranges[i]!, ranges[other]!)));
  return doOverlap ? order.sort((a, b) => (width(a) === width(b) ? a - b : width(a) < width(b) ? -1 : 1)) : order;
}

const overlap = ({ range: a }: PoolRange, { range: b }: PoolRange): boolean =>
  a.isV6 === b.isV6 && a.first <= b.last && b.first <= a.last;

/**
 * Whether an address that an interface holds through the pool of one of its ranges may be used for this range: anywhere in
 * the pool if it is the only range there, so that narrower bounds take no pod's address away, as in Whereabouts; otherwise
 * only within its bounds.
 *
 * @param ranges all ranges of the configuration.
 */
export const mayKeep =
  ({ pool, range }: PoolRange, ranges: readonly PoolRange[]) =>
  (address: bigint): boolean =>
    ranges.filter((one) => one.pool.name === pool.name).length < 2 || (address >= range.first && address <= range.last);
