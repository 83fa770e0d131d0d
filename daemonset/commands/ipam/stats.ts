import type { Argv } from "yargs";
import { parseCidr, spanOf, widthOf } from "../../../ipam/address.ts";
import { type Address, addressesOf } from "./addresses.ts";
import { addressesIn } from "./directory.ts";
import { type CommonOptions, type ExitCode, running, withCommon } from "./options.ts";
import { outputFor } from "./output.ts";
import { connectTo, findPlace, surroundingsOf } from "./place.ts";
import { Progress } from "./progress.ts";
import { type PoolState, readSnapshot } from "./snapshot.ts";
import { table } from "./table.ts";

/** How full a pool is. */
export interface PoolStats {
  readonly pool: string;
  readonly network: string;
  /** As the pool says; empty for a directory. */
  readonly range: string;
  /** Addresses between network and broadcast address, as decimal text: it may have 128 bits. Empty for a directory. */
  readonly size: string;
  readonly used: number;
  /** As `size`; what configurations exclude, or leave out by range_start and range_end, is counted as free. */
  readonly free: string;
  readonly reservations: number;
  readonly records: number;
  /** Addresses that are in one of the two alone: in mode `absent`, what the view has still to write. */
  readonly lag: number;
  readonly isAdopted: boolean;
}

export interface NodeStats {
  /** Empty for reservations that name none. */
  readonly node: string;
  readonly used: number;
}

export const registerStats = (y: Argv): Argv =>
  y.command(
    "stats",
    "how full pools are, and how many addresses each node has",
    (y) =>
      withCommon(y)
        .example("$0 ipam stats", "")
        .epilogue(
          'With --json: {"mode", "pools": [{"pool", "network", "range", "size", "used", "free", "reservations", ' +
            '"records", "lag", "isAdopted"}], "nodes": [{"node", "used"}]}; size and free are decimal texts, since ' +
            "IPv6 pools do not fit a number; what configurations exclude is not in a pool, and counts as free. " +
            "With --directory only used is known.",
        ),
    running(stats),
  );

async function stats(options: CommonOptions): Promise<ExitCode> {
  const place = findPlace(options, surroundingsOf(process.env));
  using progress = new Progress();
  const read = async () => {
    if (place.kind === "directory") return { mode: "", pools: [], addresses: addressesIn(place.path) };
    const snapshot = await readSnapshot(await connectTo(place, options, "count addresses"), progress);
    return { ...snapshot, addresses: addressesOf(snapshot) };
  };
  const { mode, pools, addresses } = await read();
  const answer = { mode, pools: poolStats(pools, addresses), nodes: nodeStats(addresses) };
  outputFor(options).answer(answer, () => report(answer));
  return 0;
}

/** Also of pools that are gone and whose addresses are still in use. Pure. */
export function poolStats(pools: readonly PoolState[], addresses: readonly Address[]): PoolStats[] {
  const byPool = Map.groupBy(addresses, ({ pool }) => pool);
  const states = new Map(pools.map((state) => [state.name, state]));
  const names = [...new Set([...states.keys(), ...byPool.keys()])].sort();
  return names.map((pool) => statsOf(pool, states.get(pool), byPool.get(pool) ?? []));
}

function statsOf(pool: string, state: PoolState | undefined, own: readonly Address[]): PoolStats {
  const used = new Set(own.map(({ network, ip }) => `${network} ${ip}`)).size;
  const size = state && sizeOf(state.range);
  return {
    pool,
    network: state?.place?.pool.network ?? own[0]?.network ?? "",
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

/** The fullest first. Pure. */
export const nodeStats = (addresses: readonly Address[]): NodeStats[] =>
  [...Map.groupBy(addresses, ({ node }) => node)]
    .map(([node, own]) => ({ node, used: own.length }))
    .toSorted((a, b) => b.used - a.used || (a.node < b.node ? -1 : 1));

interface Answer {
  readonly mode: string;
  readonly pools: readonly PoolStats[];
  readonly nodes: readonly NodeStats[];
}

function report({ mode, pools, nodes }: Answer): string {
  const ofPools = table(
    [
      { title: "POOL", of: ({ pool }) => pool },
      { title: "NETWORK", of: ({ network }) => network },
      { title: "RANGE", of: ({ range }) => range },
      { title: "SIZE", of: ({ size }) => short(size), isNumber: true },
      { title: "USED", of: ({ used }) => used, isNumber: true },
      { title: "FREE", of: ({ free }) => short(free), isNumber: true },
      { title: "RESERVATIONS", of: ({ reservations }) => reservations, isNumber: true },
      { title: "RECORDS", of: ({ records }) => records, isNumber: true },
      { title: "LAG", of: ({ lag }) => lag, isNumber: true },
      { title: "ADOPTED", of: ({ isAdopted }) => (isAdopted ? "yes" : "no") },
    ],
    pools,
  );
  const ofNodes = table(
    [
      { title: "NODE", of: ({ node }) => node || "(not known)" },
      { title: "USED", of: ({ used }) => used, isNumber: true },
    ],
    nodes,
  );
  return `${mode ? `Whereabouts is ${mode === "absent" ? "absent" : "there, or may be (coexist)"}\n\n` : ""}${ofPools}\n${ofNodes}`;
}

/** IPv6 sizes in powers of two. */
const short = (decimal: string): string =>
  decimal.length > 12 ? `~2^${(BigInt(decimal) + 1n).toString(2).length - 1}` : decimal;
