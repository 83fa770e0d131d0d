import type { Range } from "./range.ts";
import type { Pool } from "./store/store.ts";

/** One range of a configuration, which gives one address, and the pool where it is kept who has them. */
export interface PoolRange {
  readonly pool: Pool;
  readonly range: Range;
}

/**
 * The order in which the ranges of one interface take their addresses, as indices: ranges may overlap, and what a narrow
 * one needs must not go to a wide one that has others. Equal ones stay in the order of the configuration.
 */
export function claimOrder(ranges: readonly PoolRange[]): number[] {
  const width = ({ range: { first, last } }: PoolRange): bigint => last - first;
  return ranges
    .map((source, i) => ({ i, width: width(source) }))
    .sort((a, b) => (a.width === b.width ? a.i - b.i : a.width < b.width ? -1 : 1))
    .map(({ i }) => i);
}

/**
 * Whether an address that an interface holds through the pool of one of its ranges may be this range's: anywhere in the
 * pool where it is the only one, so that narrower bounds take no pod's address away, as in Whereabouts; else only within
 * its bounds.
 *
 * @param ranges all of the configuration.
 */
export const mayKeep =
  ({ pool, range }: PoolRange, ranges: readonly PoolRange[]) =>
  (address: bigint): boolean =>
    ranges.filter((one) => one.pool.name === pool.name).length < 2 || (address >= range.first && address <= range.last);
