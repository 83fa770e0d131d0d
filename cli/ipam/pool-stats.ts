import { parseCidr, spanOf, widthOf } from "../../ipam/address.ts";
import type { HeldAddress } from "./addresses.ts";
import type { PoolState } from "./snapshot.ts";

/** How full a pool is. */
export interface PoolStats {
  readonly pool: string;
  readonly network: string;
  /** As the pool says; empty for a directory. */
  readonly range: string;
  /** Addresses between network and broadcast address, as decimal text: it may have 128 bits. Empty for a directory. */
  readonly size: string;
  readonly used: number;
  /** As `size`; addresses that configurations exclude, or omit by range_start and range_end, count as free. */
  readonly free: string;
  readonly reservations: number;
  readonly records: number;
  /** Addresses that are in only one of the two: in mode `absent`, what the view has still to write. */
  readonly lag: number;
  readonly isAdopted: boolean;
}

export interface NodeStats {
  /** Empty for reservations without a node. */
  readonly node: string;
  readonly used: number;
}

/** Includes pools that are gone and whose addresses are still in use. Pure. */
export function poolStats(pools: readonly PoolState[], addresses: readonly HeldAddress[]): PoolStats[] {
  const byPool = Map.groupBy(addresses, ({ pool }) => pool);
  const states = new Map(pools.map((state) => [state.name, state]));
  const names = [...new Set([...states.keys(), ...byPool.keys()])].sort();
  return names.map((pool) => statsOf(pool, states.get(pool), byPool.get(pool) ?? []));
}

function statsOf(pool: string, state: PoolState | undefined, own: readonly HeldAddress[]): PoolStats {
  const used = new Set(own.map(({ network, ip }) => `${network} ${ip}`)).size;
  const size = state && sizeOf(state.range);
  return {
    pool,
    network: state?.location?.pool.network ?? own[0]?.network ?? "",
    range: state?.range ?? "",
    size: String(size ?? ""),
    used,
    free: size === undefined ? "" : String(size > BigInt(used) ? size - BigInt(used) : 0n),
    reservations: own.filter(({ by }) => by === "both" || by === "reservation").length,
    records: own.filter(({ by }) => by === "both" || by === "record").length,
    lag: own.filter(({ by }) => by === "reservation" || by === "record").length,
    isAdopted: state?.isAdopted ?? false,
  };
}

function sizeOf(range: string): bigint | undefined {
  const cidr = parseCidr(range);
  if (!cidr || widthOf(cidr.isV6) - cidr.prefixBits < 2) return undefined;
  const { first, last } = spanOf(cidr);
  return last - first - 1n;
}

/** Fullest first. Pure. */
export const nodeStats = (addresses: readonly HeldAddress[]): NodeStats[] =>
  [...Map.groupBy(addresses, ({ node }) => node)]
    .map(([node, own]) => ({ node, used: own.length }))
    .toSorted((a, b) => b.used - a.used || (a.node < b.node ? -1 : 1));
