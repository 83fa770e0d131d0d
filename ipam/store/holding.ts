import type { Owner, Pool, Released } from "./store.ts";

/** Who holds an address, and through which pool. An address of a network may have one per pool that is not `overlapping`. */
export interface Holding {
  /** Name of the pool; empty when nobody knows. */
  readonly pool: string;
  readonly overlapping: boolean;
  readonly owner: Owner;
}

/** The same interface of the same pod, in whichever sandbox. */
export const isSameInterface = (a: Owner, b: Owner): boolean => a.podref === b.podref && a.ifname === b.ifname;

/** What stands in the way of a claim through `pool`, or is that claim: an address has one holding in a pool, and one overlapping one. */
export const concerns =
  ({ name, overlapping }: Pool) =>
  (held: Holding): boolean =>
    held.pool === name || held.pool === "" || (held.overlapping && overlapping);

/**
 * Whether a claim of `owner` through `pool` takes a holding over. Not through another pool: a pod with two ranges that
 * overlap would have one address twice.
 */
export const isOwn = (held: Holding, pool: Pool, owner: Owner): boolean =>
  held.pool === pool.name && isSameInterface(held.owner, owner);

/** What a claim makes of an address' holdings: the new ones, or who is in the way. */
export function claimed(holdings: readonly Holding[], pool: Pool, owner: Owner): readonly Holding[] | Owner {
  const concerned = holdings.filter(concerns(pool));
  const other = concerned.find((held) => !isOwn(held, pool, owner));
  if (other) return other.owner;
  const rest = holdings.filter((held) => !concerned.includes(held));
  return [...rest, { pool: pool.name, overlapping: pool.overlapping, owner }];
}

/** What a release makes of them. */
export function released(
  holdings: readonly Holding[],
  pool: Pool,
  owner: Owner,
): { readonly outcome: Released; readonly rest: readonly Holding[] } {
  const held = holdings.find(concerns(pool));
  if (!held) return { outcome: "absent", rest: holdings };
  if (!isOwn(held, pool, owner) || held.owner.containerId !== owner.containerId)
    return { outcome: "foreign", rest: holdings };
  return { outcome: "released", rest: holdings.filter((one) => one !== held) };
}
