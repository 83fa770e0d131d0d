import type { NodeSlicePool } from "../../../ipam/whereabouts/objects.ts";
import { IP_POOLS, type KubeObject, NODE_SLICE_POOLS, NODES, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { beforeAbort, repeat } from "../../loop.ts";
import type { Context } from "../context.ts";
import { follow } from "../follow.ts";
import type { HealPeriod } from "../node/heal-period.ts";
import type { ModeWatch } from "../node/mode-watch.ts";
import { compactor, type Reserved } from "../reserved.ts";
import { awaitNodes } from "./await-nodes.ts";
import { LeaderDrift } from "./drift.ts";
import { chooseFirstMode } from "./first-mode.ts";
import { LeaderGc } from "./gc-leader.ts";
import { bornMsOf, type NodeMemory } from "./gone-nodes.ts";
import { guardMode } from "./guard.ts";
import { LeaderHeal } from "./heal-leader.ts";
import { LeaderNetworks } from "./networks.ts";
import { type Node, type NodeState, nodeState } from "./nodes.ts";
import { LeaderPools, type LeaderPoolsOptions } from "./pools.ts";
import { LeaderRecords } from "./records-leader.ts";
import { LeaderSlices } from "./slices.ts";

export interface LeaderOptions extends LeaderPoolsOptions {
  /** Of the same cluster. */
  readonly period: HealPeriod;
  /** Minimum time between two looks that find the same thing abandoned; also how long a node that is down is waited for. Default 60 s. */
  readonly graceMs?: number;
  /** Between two looks. Default 60 s. */
  readonly lookMs?: number;
  /** Between two looks at pools whose records decide. Default 10 min. */
  readonly recordsMs?: number;
  /** Between two comparisons of the nodes. Default ten times `lookMs`. */
  readonly driftMs?: number;
}

/** What the leader keeps of a node: a thousand objects of 15 KB are too much. */
interface NodeSeen extends KubeObject, NodeMemory {}

/** What one agent does for all, from the moment its cache of the cluster is complete until `signal`. */
export async function lead(
  context: Context,
  modes: ModeWatch,
  { graceMs = 60_000, lookMs = 60_000, recordsMs = 600_000, driftMs = 10 * lookMs, period, ...options }: LeaderOptions,
  signal: AbortSignal,
): Promise<void> {
  const { log } = context;
  const nodes = follow<NodeSeen>(context, NODES, { keep: seeNode, signal });
  const stateOf = (name: string): NodeState => nodes.objects.get(name)?.state ?? "gone";
  const gc = new LeaderGc(context, (name) => nodes.objects.get(name), graceMs);
  const healing = new LeaderHeal(context, stateOf, graceMs);
  const records = new LeaderRecords(context, stateOf, graceMs);
  const slicing = new LeaderSlices(context, stateOf, graceMs);
  const drift = new LeaderDrift(context);
  using _drift = forgettingDrift(context);
  const slices = follow<NodeSlicePool>(context, NODE_SLICE_POOLS, { signal });
  const pools = new LeaderPools(context, options, signal);
  const seen = follow<KubeObject>(context, IP_POOLS, {
    metadataOnly: true,
    keep: withoutLabels,
    signal,
    onChange: (change, { metadata }) => pools.sawPool(metadata, change !== "DELETED"),
  });
  const reservations = follow<Reserved>(context, RESERVATIONS, {
    keep: compactor() as (object: KubeObject) => Reserved,
    signal,
    onChange(change, reserved) {
      pools.sawReservation(reserved, change !== "DELETED");
      if (change === "DELETED") healing.onDeleted(reserved);
    },
  });
  const networks = new LeaderNetworks(context, driftMs, () => reservations.objects.values());
  void networks.follow(signal);
  const all = Promise.all([nodes.synced, seen.synced, reservations.synced, slices.synced, modes.synced]);
  if (!(await beforeAbort(all, signal))) return;
  guardMode(context, signal);
  using _lag = showingLag(context, () => pools.lagMs);
  const evidence = { pools: seen.objects.values(), reservations: reservations.objects.values() };
  awaitNodes(context, { period, graceMs, signal });
  chooseFirstMode(context, evidence, signal)
    .catch((err) => log.warn({ err }, "the settings' `whereabouts` is not set; the next leader tries again"))
    .finally(() => period.lead(signal)); // it writes the same settings
  using _ = onChange(modes, () => pools.modeChanged());
  const time = { everyMs: lookMs, signal, log };
  await Promise.all([
    pools.run(),
    repeat("gc", time, () => gc.look(reservations.objects.values(), signal)),
    repeat("gc of records", { ...time, everyMs: recordsMs }, () => records.look(seen.objects.values(), signal)),
    repeat("slices", time, () => slicing.look(slices.objects.values(), reservations.objects.values(), signal)),
    repeat("rail networks", time, () => networks.look(signal)),
    repeat("drift", { ...time, everyMs: driftMs }, () => drift.look(signal)),
    repeat("heal", { ...time, everyMs: lookMs / 4 }, () => healing.look(signal)),
  ]);
}

function showingLag({ counters }: Pick<Context, "counters">, lagMs: () => number): Disposable {
  counters.viewLagMs = lagMs;
  return {
    [Symbol.dispose]() {
      counters.viewLagMs = () => 0;
    },
  };
}

function forgettingDrift({ counters }: Pick<Context, "counters">): Disposable {
  return {
    [Symbol.dispose]() {
      [counters.nodesCompared, counters.nodesOdd] = [0, 0];
    },
  };
}

function onChange(modes: ModeWatch, listener: () => void): Disposable {
  const stop = modes.onChange(listener);
  return { [Symbol.dispose]: stop };
}

const seeNode = (node: KubeObject): NodeSeen => {
  const { name, uid, resourceVersion, creationTimestamp } = node.metadata;
  const bornMs = bornMsOf(creationTimestamp);
  return {
    metadata: { name, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) },
    state: nodeState(node as Node),
    ...(bornMs !== undefined && { bornMs }),
  };
};

const withoutLabels = ({
  metadata: { name, namespace, uid, resourceVersion, annotations },
}: KubeObject): KubeObject => ({
  metadata: {
    name,
    ...(namespace && { namespace }),
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
    ...(annotations && { annotations }),
  },
});
