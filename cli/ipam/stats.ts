import type { Argv } from "yargs";
import { outputFor } from "../output.ts";
import { table } from "../table.ts";
import { addressesOf } from "./addresses.ts";
import { addressesIn } from "./directory.ts";
import { type CommonOptions, type ExitCode, running, withCommon } from "./options.ts";
import { type NodeStats, nodeStats, type PoolStats, poolStats } from "./pool-stats.ts";
import { Progress } from "./progress.ts";
import { readSnapshot } from "./snapshot.ts";
import { connectTo, findTarget, surroundingsOf } from "./store-target.ts";

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
  const target = findTarget(options, surroundingsOf(process.env));
  using progress = new Progress();
  const read = async () => {
    if (target.kind === "directory") return { mode: "", pools: [], addresses: addressesIn(target.path) };
    const snapshot = await readSnapshot(await connectTo(target, options, "count addresses"), progress);
    return { ...snapshot, addresses: addressesOf(snapshot) };
  };
  const { mode, pools, addresses } = await read();
  const answer = { mode, pools: poolStats(pools, addresses), nodes: nodeStats(addresses) };
  outputFor(options).answer(answer, () => report(answer));
  return 0;
}

/** For people, those with the most are enough. */
const MAX_NODES = 20;

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
    nodes.slice(0, MAX_NODES),
  );
  const head = mode ? `mode: ${mode}\n\n` : "";
  const more = nodes.length > MAX_NODES ? `and ${nodes.length - MAX_NODES} more: --json has all\n` : "";
  return `${head}${ofPools}\n${ofNodes}${more}`;
}

/** IPv6 sizes in powers of two. */
const short = (decimal: string): string =>
  decimal.length > 12 ? `~2^${(BigInt(decimal) + 1n).toString(2).length - 1}` : decimal;
