import type { Claim, Owner, Pool, Released } from "./store.ts";

/** Who holds an address, and through which pool. An address of a network may have one holding for each pool that is not `overlapping`. */
export interface Holding {
  /** Name of the pool; empty if unknown. */
  readonly pool: string;
  readonly overlapping: boolean;
  readonly owner: Owner;
}

/** The same interface of a pod of the same name, in whichever sandbox. */
export const isSameInterface = (a: Owner, b: Owner): boolean => a.podref === b.podref && a.ifname === b.ifname;

/**
 * Whether a claim takes over an address from its holder: from an earlier sandbox of the same pod, or from a pod of that
 * name whose sandbox is known to be over. Without a UID on both sides, the name counts.
 */
export const takesOver = (holder: Owner, { owner, isOver }: Pick<Claim, "owner" | "isOver">): boolean =>
  isSameInterface(holder, owner) &&
  (holder.containerId === owner.containerId || holder.podUid === owner.podUid || isOver?.(holder) === true);

/** What conflicts with a claim through `pool`, or is that claim: an address has one holding per pool, and one overlapping one. */
export const concerns =
  ({ name, overlapping }: Pool) =>
  (held: Holding): boolean =>
    held.pool === name || held.pool === "" || (held.overlapping && overlapping);

/**
 * The holdings of an address after a claim, or the holder in the way. Nothing is taken over through another pool: a pod
 * with two overlapping ranges would get one address twice.
 */
export function claimed(holdings: readonly Holding[], claim: Claim): readonly Holding[] | Owner {
  const { pool, owner } = claim;
  const concerned = holdings.filter(concerns(pool));
  const other = concerned.find((held) => held.pool !== pool.name || !takesOver(held.owner, claim));
  if (other) return other.owner;
  const rest = holdings.filter((held) => !concerned.includes(held));
  return [...rest, { pool: pool.name, overlapping: pool.overlapping, owner }];
}

/** The holdings after a release. */
export function released(
  holdings: readonly Holding[],
  pool: Pool,
  owner: Owner,
): { readonly outcome: Released; readonly rest: readonly Holding[] } {
  const held = holdings.find(concerns(pool));
  if (!held) return { outcome: "absent", rest: holdings };
  const isOwn = held.pool === pool.name && isSameInterface(held.owner, owner);
  if (!isOwn || held.owner.containerId !== owner.containerId) return { outcome: "foreign", rest: holdings };
  return { outcome: "released", rest: holdings.filter((one) => one !== held) };
}
