import { randomUUID } from "node:crypto";
import type { Log } from "../../../cni/host.ts";
import type { Store } from "../../../ipam/store/store.ts";
import { LABEL, labelValue } from "../../../ipam/whereabouts/objects.ts";
import { type Cluster, type KubeObject, LEASES, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import type { Lease } from "../../../kubernetes/lease.ts";
import { beforeAbort, pause, repeat } from "../../loop.ts";
import type { Context } from "../context.ts";
import type { Counters } from "../counters.ts";
import { Disputes } from "../disputes.ts";
import type { Events } from "../events.ts";
import type { Fleet } from "../fleet.ts";
import { follow } from "../follow.ts";
import { FreedHistory } from "../freed.ts";
import { type LeaderOptions, lead } from "../leader/leader.ts";
import { Election, LEADER_LEASE, type LeaseOptions } from "../leader/lease.ts";
import { mayLead } from "../leader/may-lead.ts";
import { NodeGc } from "../node/gc-node.ts";
import { NodeHeal } from "../node/heal-node.ts";
import { HealPeriod } from "../node/heal-period.ts";
import type { ModeWatch } from "../node/mode-watch.ts";
import { NodeRecords } from "../node/records-node.ts";
import type { Sandboxes } from "../node/sandboxes.ts";
import type { Refusals } from "../refusals.ts";
import { compactor, type Reserved } from "../reserved.ts";

export interface BackgroundOptions extends LeaderOptions, Pick<LeaseOptions, "durationMs" | "renewMs" | "jitterMs"> {
  readonly cluster: Cluster;
  /** Of the same cluster. */
  readonly store: Store;
  readonly modes: ModeWatch;
  readonly sandboxes: Sandboxes;
  /** Of the same cluster. Default: one of this process alone. */
  readonly period?: HealPeriod;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly log: Log;
  readonly events: Events;
  /** Counted up. */
  readonly counters: Counters;
  readonly refusals?: Refusals;
  /** Default: a small one. */
  readonly fleet?: Fleet;
  readonly signal: AbortSignal;
  /** Between two looks whether the pools have the records of this node's claims, where these are part of them. Default 10 min. */
  readonly recordsMs?: number;
}

export interface Background {
  /** The last addresses that this agent freed. */
  readonly freed: FreedHistory;
  /** Fulfilled when it is known whether this node's reservations are all there. */
  readonly looked: Promise<void>;
  /** Fulfilled when all has ended, after `signal`. */
  readonly done: Promise<void>;
}

/** Once in so long the watch of this node's is renewed by a list: a floor under all that a watch may miss. */
const RELIST_MS = 1_800_000;

/** How often a node that may not lead asks whether it may now. */
const ASK_MS = 1_800_000;

/**
 * All that the agent does about addresses while nobody asks it: its own node's garbage and losses, and in turn with the
 * others the leader's work.
 *
 * Idle it costs the API server two watches, renewed every 10 to 20 minutes (ModeWatch has a third), so 0.2 requests a
 * minute; the leader's five more watches and its lease make 1.5 a minute. A node with reservations that its journal does
 * not know (Whereabouts' pods after a takeover) lists its pods once a minute.
 */
export function startBackground(options: BackgroundOptions): Background {
  const { cluster, store, modes, node, log, events, counters, refusals, fleet } = options;
  const disputes = new Disputes(log, events, counters);
  const freed = new FreedHistory();
  const optional = { ...(refusals && { refusals }), ...(fleet && { fleet }) };
  const shared = { cluster, store, node, log, events, counters, ...optional };
  const context: Context = { ...shared, mode: () => modes.mode, disputes, freed };
  const looked = Promise.withResolvers<void>();
  const work = [elect(context, options), lookAfterNode(context, options, looked.resolve)];
  return { freed, looked: looked.promise, done: Promise.all(work).then(() => {}) };
}

async function elect(context: Context, options: BackgroundOptions): Promise<void> {
  const { node, counters } = context;
  const { signal, modes } = options;
  const election = new Election({ ...options, identity: `${node}_${randomUUID()}` });
  const informer = follow<Lease>(context, LEASES, {
    fieldSelector: `metadata.name=${LEADER_LEASE}`,
    signal,
    onChange: (change, lease) => election.saw(change === "DELETED" ? undefined : lease),
  });
  if (!(await beforeAbort(informer.synced, signal))) return;
  for (let isSaid = false; !(await mayLead(context.cluster, node, signal)); isSaid = true) {
    if (!isSaid) context.log.info({ node }, "this node's agent may not lead: see the rule `leaders` in manifests/rbac.yaml"); // biome-ignore format: one line
    await pause(ASK_MS, signal);
  }
  await election.run(signal, async (term) => {
    counters.terms++;
    await lead(context, modes, options, term);
  });
}

const restored = (was: string, is: string): string =>
  `the API server was restored from a backup: its versions went back from ${was} to ${is}`;

async function lookAfterNode(context: Context, options: BackgroundOptions, onLooked: () => void): Promise<void> {
  const { cluster, log, node, mode } = context;
  const { signal, modes, sandboxes, graceMs = 60_000, lookMs = 60_000, recordsMs = 600_000 } = options;
  const gc = new NodeGc(context, sandboxes, graceMs);
  const { period = new HealPeriod({ cluster, node, log, signal }) } = options;
  const healing = new NodeHeal(context, sandboxes, (why) => period.notice(why));
  const unreserved = new NodeRecords(context, sandboxes, graceMs);
  const own = follow<Reserved>(context, RESERVATIONS, {
    labelSelector: `${LABEL.node}=${labelValue(node)}`,
    keep: compactor() as (object: KubeObject) => Reserved,
    relistMs: RELIST_MS,
    signal,
    onChange: (change, reserved) => healing.saw(change, reserved, signal),
    onRestored: (was, is) => period.notice(restored(was, is)),
    onVerified: (is) => period.verified(is),
  });
  const has = (name: string) => own.objects.has(`${cluster.namespace}/${name}`);
  if (!(await beforeAbort(own.synced, signal))) return;
  if (await healing.misses(has)) period.notice(`reservations of ${node} are gone that its sandboxes hold`);
  onLooked();
  period.onBegin(() => void healing.putAllBack(signal));
  if (!(await beforeAbort(modes.synced, signal))) return;
  const time = { everyMs: lookMs, signal, log };
  const byRecords = { ...time, everyMs: recordsMs };
  await Promise.all([
    repeat("node heal", time, () => healing.sweep(has, signal)),
    repeat("node gc", time, () => gc.look([...own.objects.values()], signal)),
    repeat("node gc of records", time, () => unreserved.collect(signal)),
    repeat("node heal of records", byRecords, () => unreserved.heal(signal)),
    repeat("node records", byRecords, async () => {
      if (mode() === "coexist") await healing.sweepRecords(signal);
    }),
  ]);
}
