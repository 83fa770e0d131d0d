import { randomUUID } from "node:crypto";
import type { Log } from "../../../cni/host.ts";
import type { Store } from "../../../ipam/store/store.ts";
import { type Cluster, LEASES } from "../../../kubernetes/cluster.ts";
import type { Lease } from "../../../kubernetes/lease.ts";
import { beforeAbort, repeat } from "../../loop.ts";
import type { Context } from "../context.ts";
import type { Counters } from "../counters.ts";
import { Disputes } from "../disputes.ts";
import type { Events } from "../events.ts";
import type { Fleet } from "../fleet.ts";
import { follow } from "../follow.ts";
import { FreedHistory } from "../freed.ts";
import { type LeaderOptions, lead } from "../leader/leader.ts";
import { Election, LEADER_LEASE, type LeaseOptions } from "../leader/lease.ts";
import { untilMayLead } from "../leader/until-may-lead.ts";
import { NodeGc } from "../node/gc-node.ts";
import { NodeHeal } from "../node/heal-node.ts";
import { HealPeriod } from "../node/heal-period.ts";
import type { ModeWatch } from "../node/mode-watch.ts";
import { ownReservations } from "../node/own-reservations.ts";
import { NodeRecords } from "../node/records-node.ts";
import type { Sandboxes } from "../node/sandboxes.ts";
import type { Refusals } from "../refusals.ts";

export interface BackgroundOptions extends LeaderOptions, Pick<LeaseOptions, "durationMs" | "renewMs" | "jitterMs"> {
  readonly cluster: Cluster;
  /** Of the same cluster. */
  readonly store: Store;
  readonly modes: ModeWatch;
  readonly sandboxes: Sandboxes;
  /** Of this node's own claims, where they are not watched. Default 10 min. */
  readonly turnMs?: number;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly log: Log;
  readonly events: Events;
  /** Counted up. */
  readonly counters: Counters;
  readonly refusals?: Refusals;
  /** Default: a small one. */
  readonly fleet?: Fleet;
  /** Tells the others that this node has done its part of a heal period. @throws {ApiError} */
  readonly onPutBack?: (period: string) => Promise<void>;
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

/**
 * All that the agent does about addresses while nobody asks it: its own node's garbage and losses, and in turn with the
 * others the leader's work.
 *
 * Idle it costs the API server two watches, renewed every 10 to 20 minutes (settings and definition have two more), so 0.3
 * requests a minute; in a large cluster one of them less, and a GET of each of its claims in ten minutes. The leader's five
 * more watches and its lease make 1.6 a minute. A node with reservations that its journal does not know (Whereabouts' pods
 * after a takeover) lists its pods once a minute.
 */
export function startBackground(options: BackgroundOptions): Background {
  const { cluster, store, modes, node, log, events, counters, refusals, fleet } = options;
  const disputes = new Disputes(log, events, counters);
  const freed = new FreedHistory();
  const optional = { ...(refusals && { refusals }), ...(fleet && { fleet }) };
  const shared = { cluster, store, node, log, events, counters, ...optional };
  const context: Context = { ...shared, mode: () => modes.mode, disputes, freed };
  const looked = Promise.withResolvers<void>();
  const { period = new HealPeriod({ cluster, node, log, signal: options.signal }) } = options;
  const work = [elect(context, { ...options, period }), lookAfterNode(context, { ...options, period }, looked.resolve)];
  return { freed, looked: looked.promise, done: Promise.all(work).then(() => {}) };
}

type WithPeriod = BackgroundOptions & { readonly period: HealPeriod };

async function elect(context: Context, options: WithPeriod): Promise<void> {
  const { node, counters } = context;
  const { signal, modes } = options;
  const election = new Election({ ...options, identity: `${node}_${randomUUID()}` });
  let heardMs = performance.now();
  const informer = follow<Lease>(context, LEASES, {
    fieldSelector: `metadata.name=${LEADER_LEASE}`,
    signal,
    onChange(change, lease) {
      if (change !== "DELETED" && lease.spec.holderIdentity) heardMs = performance.now();
      election.saw(change === "DELETED" ? undefined : lease);
    },
  });
  if (!(await beforeAbort(informer.synced, signal))) return;
  const { durationMs } = options;
  await untilMayLead(context, {
    signal,
    leaderSilentMs: () => performance.now() - heardMs,
    ...(durationMs !== undefined && { durationMs }),
  });
  await election.run(signal, async (term) => {
    counters.terms++;
    await lead(context, modes, options, term);
  });
}

async function lookAfterNode(context: Context, options: WithPeriod, onLooked: () => void): Promise<void> {
  const { log, node, mode } = context;
  const { signal, modes, period, sandboxes, graceMs = 60_000, lookMs = 60_000, recordsMs = 600_000 } = options;
  const gc = new NodeGc(context, sandboxes, graceMs);
  const healing = new NodeHeal(context, sandboxes, (why) => period.notice(why));
  const unreserved = new NodeRecords(context, sandboxes, graceMs);
  await Promise.resolve(options.fleet?.known);
  const own = ownReservations(context, { ...options, healing, lookMs });
  const has = (name: string) => own.has(name);
  if (!(await beforeAbort(own.synced, signal))) return;
  if (await healing.misses(has)) period.notice(`reservations of ${node} are gone that its sandboxes hold`);
  onLooked();
  const putBack = async (why: string) => {
    if ((await healing.putAllBack(signal)) && period.agreed === why) await options.onPutBack?.(why);
  };
  const onBegin = (why: string) =>
    void putBack(why).catch((err) => log.warn({ err }, "not said yet that this node's reservations are put back"));
  period.onBegin(onBegin);
  if (period.agreed) onBegin(period.agreed);
  if (!(await beforeAbort(modes.synced, signal))) return;
  const time = { everyMs: lookMs, signal, log };
  const byRecords = { ...time, everyMs: recordsMs };
  await Promise.all([
    repeat("node heal", time, () => healing.sweep(has, signal)),
    repeat("node gc", { ...time, everyMs: own.lookMs }, async () => gc.look(await own.reserved(), signal)),
    repeat("node gc of records", time, () => unreserved.collect(signal)),
    repeat("node heal of records", byRecords, () => unreserved.heal(signal)),
    repeat("node records", byRecords, async () => {
      if (mode() === "coexist") await healing.sweepRecords(signal);
    }),
  ]);
}
