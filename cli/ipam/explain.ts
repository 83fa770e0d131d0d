import { readFileSync } from "node:fs";
import type { Argv } from "yargs";
import { createLog } from "../../daemonset/log.ts";
import { type IpamConfig, readIpamConfig } from "../../ipam/whereabouts/config.ts";
import type { NodeSlicePool } from "../../ipam/whereabouts/objects.ts";
import { sliceOfNode } from "../../ipam/whereabouts/slice-nodes.ts";
import { sliceRange } from "../../ipam/whereabouts/slices.ts";
import { isMissing } from "../../kernel/errno.ts";
import { type Cluster, NODE_SLICE_POOLS } from "../../kubernetes/cluster.ts";
import { outputFor } from "../output.ts";
import { addressesOf, type HeldAddress } from "./addresses.ts";
import { addressesIn } from "./directory.ts";
import { toCall } from "./explain/call.ts";
import { type ExplainQuestion, type Explanation, explain as explainRanges } from "./explain/plan-explain.ts";
import { type CommonOptions, type ExitCode, running, withCommon } from "./options.ts";
import { Progress } from "./progress.ts";
import { readText } from "./read-text.ts";
import { readSnapshot } from "./snapshot.ts";
import {
  connectTo,
  findTarget,
  fromCaller,
  type StoreTarget,
  type Surroundings,
  surroundingsOf,
} from "./store-target.ts";
import { requirePodref } from "./who.ts";

interface ExplainOptions extends CommonOptions {
  readonly config: string;
  readonly pod: string;
  readonly ifname: string;
  readonly node?: string | undefined;
}

export const registerExplain = (y: Argv): Argv =>
  y.command(
    "explain",
    "which address an ADD would get and why, or why none; changes nothing",
    (y) =>
      withCommon(y)
        .option("config", {
          type: "string",
          demandOption: true,
          nargs: 1, // otherwise "-" is a separate argument
          describe:
            "file with a network configuration or a NetworkAttachmentDefinition, JSON or YAML; - for standard input",
        })
        .option("pod", { type: "string", default: "default/explain", describe: "namespace/name of the pod" })
        .option("ifname", { type: "string", default: "net1", describe: "its interface" })
        .option("node", { type: "string", describe: "with node_slice_size: the pod's node; default: this one" })
        .example("kubectl get net-attach-def rail0 -o yaml | $0 ipam explain --config -", "")
        .example("$0 ipam explain --config rail0.conf --pod default/worker-0 --ifname net2", "")
        .epilogue(
          'With --json: [{"pool", "network", "range", "ip", "why", "taken", "skipped": [{"ip", "why"}], "order"}], one for ' +
            "each range; ip is null when the ADD would fail. Exit code 1 then. Others may be faster: only an ADD decides.",
        ),
    running(explain),
  );

async function explain(options: ExplainOptions): Promise<ExitCode> {
  requirePodref(options.pod);
  const surroundings = surroundingsOf(process.env);
  const text = readFileSync(options.config === "-" ? 0 : fromCaller(options.config, process.env), "utf8");
  const call = await toCall(text, options);
  const target = findTarget(options, surroundings);
  const config = readIpamConfig(call, hostFor(target, surroundings));
  using progress = new Progress();
  const { addresses, order, ranges } = await readAll(config, target, options, progress);
  const { podref, asked } = config;
  const fixed = config.fixed.map(({ address }) => address.split("/")[0]!);
  const answers = explainRanges(ranges, addresses, { podref, ifname: options.ifname, asked, fixed, order });
  outputFor(options).answer(answers, () => answers.map(toText).join("\n"));
  return answers.every(({ ip }) => ip !== null) ? 0 : 1;
}

/** Addresses are looked up where the options say, whatever a configuration names. */
function hostFor(target: StoreTarget, { policy, paths }: Surroundings): Parameters<typeof readIpamConfig>[1] {
  const here =
    target.kind === "directory" ? { directory: target.path } : { kubeconfig: target.kubeconfig ?? "the pod's own" };
  return { readText, policy: { ...policy, ...here }, stateDir: paths.stateDir, log: createLog("silent") };
}

async function readAll(config: IpamConfig, target: StoreTarget, options: ExplainOptions, progress: Progress) {
  const order = (value: ExplainQuestion["order"]) => value;
  if (target.kind === "directory")
    return { addresses: directoryAddresses(target.path), order: order("lowest"), ranges: config.ranges };
  const cluster = await connectTo(target, options, "explain an ADD");
  const snapshot = await readSnapshot(cluster, progress);
  const node = options.node ?? surroundingsOf(process.env).policy.node ?? (await import("node:os")).hostname();
  return {
    addresses: addressesOf(snapshot),
    order: order(snapshot.mode === "coexist" ? "highest" : "lowest"),
    ranges: config.slices ? await inSlice(config, config.slices.name, node, cluster) : config.ranges,
  };
}

/** A directory that does not exist yet counts as empty. */
function directoryAddresses(path: string): HeldAddress[] {
  try {
    return addressesIn(path);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** With the slice that the node has; an ADD would take one for it. */
async function inSlice({ ranges }: IpamConfig, name: string, node: string, cluster: Cluster) {
  const pool = await cluster.get<NodeSlicePool>(NODE_SLICE_POOLS, name);
  const [first, ...others] = ranges;
  const slice = first && sliceOfNode(pool?.status?.allocations ?? [], node, first.range);
  if (!slice)
    throw new Error(
      `cannot explain: node ${node} has no slice of ${name} yet, and an ADD would take a free one; name another with --node`,
    );
  return [sliceRange(first, slice, node), ...others];
}

function toText({ pool, network, range, ip, why, taken, skipped }: Explanation): string {
  const lines = [
    `${ip ?? "no address"}: ${why}`,
    `  pool     ${pool}${network && ` of network ${network}`}, gives out ${range}, ${taken} taken`,
    ...skipped.map((one) => `  skipped  ${one.ip}: ${one.why}`),
  ];
  return `${lines.join("\n")}\n`;
}
