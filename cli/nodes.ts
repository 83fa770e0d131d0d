import type { Argv } from "yargs";
import { RAIL_NETWORKS, type RailNetwork } from "../daemonset/rail-network/object.ts";
import { compare } from "../daemonset/rail-node/drift.ts";
import { expectedBy } from "../daemonset/rail-node/expected.ts";
import { FACT_NAMES } from "../daemonset/rail-node/facts.ts";
import { RAIL_NODES, type RailNode } from "../daemonset/rail-node/object.ts";
import { ApiError, type Cluster } from "../kubernetes/cluster.ts";
import { type ExitCode, running, UsageError } from "./ipam/options.ts";
import { connectTo, findTarget, surroundingsOf } from "./ipam/store-target.ts";
import { notReady, reportNodes } from "./nodes/report.ts";
import { outputFor } from "./output.ts";

interface NodesOptions {
  readonly kubeconfig: string | undefined;
  readonly json: boolean;
  readonly all: boolean;
  readonly ignore: readonly string[];
}

export const registerNodes = (y: Argv): Argv =>
  y.command(
    "nodes",
    "all nodes of the cluster, grouped by what they have: which ones differ",
    (y) =>
      y
        .option("kubeconfig", {
          type: "string",
          describe: "of the cluster; default: node.json, KUBECONFIG, the pod's service account",
        })
        .option("json", { type: "boolean", default: false, describe: "for scripts" })
        .option("all", { type: "boolean", default: false, describe: "what is the same on all nodes, too" })
        .option("ignore", {
          type: "string",
          array: true,
          default: [] as string[],
          describe: `facts that may differ: ${FACT_NAMES.join(", ")}`,
        })
        .example("$0 nodes --ignore kernel", "while kernels are updated")
        .example("$0 nodes --json | jq -r '.odd[].nodes[]' | sort -u", "nodes to look at")
        .epilogue(
          'With --json: {"nodes", "withoutRails", "odd": [{"rail", "fact", "value", "nodes", "usual", "usualNodes", "isExpected"}], ' +
            '"alike": [{"rail", "fact", "value", "count"}], "notReady": [{"node", "reason", "message"}]}; rail is empty for ' +
            "a fact of the whole node; isExpected: the usual value is pinned by spec.expect of a RailNetwork. Nodes of different RailNetworks are not compared with each other. " +
            "Exit codes: 0 all are alike; 1 some are not, or nothing is known.",
        ),
    running(nodes),
  );

async function nodes({ kubeconfig, json, all, ignore }: NodesOptions): Promise<ExitCode> {
  const unknown = ignore.find((name) => !FACT_NAMES.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`cannot ignore "${unknown}": there is no such fact; want ${FACT_NAMES.join(", ")}`);
  const cluster = await connectTo(findTarget({ kubeconfig }, surroundingsOf(process.env)), {}, "compare nodes");
  const { items } = await cluster.list<RailNode>(RAIL_NODES);
  const comparison = compare(items, new Set(ignore), expectedBy(await networksOf(cluster)));
  const answer = { ...comparison, notReady: notReady(items) };
  outputFor({ json }).answer(answer, () => reportNodes(answer, all));
  return items.length > 0 && comparison.odd.length === 0 ? 0 : 1;
}

/** What they pin; a cluster may have only RailNodes. */
async function networksOf(cluster: Pick<Cluster, "list">): Promise<readonly RailNetwork[]> {
  try {
    return (await cluster.list<RailNetwork>(RAIL_NETWORKS)).items;
  } catch (error) {
    if (error instanceof ApiError && [403, 404].includes(error.status)) return [];
    throw error;
  }
}
