import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../../cni/host.ts";
import type { IpamStep } from "../../../ipam/steps.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import type { Store } from "../../../ipam/store/store.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import type { EventRecorder } from "../../../kubernetes/events/recorder.ts";
import { beforeAbort, repeat } from "../../loop.ts";
import { AddressEvents } from "../address-events.ts";
import type { Context } from "../context.ts";
import type { Counters } from "../counters.ts";
import { Events } from "../events.ts";
import { Fleet } from "../fleet.ts";
import { FreedHistory } from "../freed.ts";
import { type CandidacyOptions, standForLeader } from "../leader/candidacy.ts";
import { followDefinition } from "../node/definition-watch.ts";
import { HealPeriod } from "../node/heal-period.ts";
import type { Heartbeat } from "../node/heartbeat.ts";
import { ModeWatch } from "../node/mode-watch.ts";
import { lookAfterNode, type NodeWorkOptions } from "../node/node-work.ts";
import { REPORT_MS, reportMode } from "../node/report.ts";
import type { Sandboxes } from "../node/sandboxes.ts";
import { staticRecords } from "../node/static-pods.ts";
import type { Refusals } from "../refusals.ts";

/** An agent's successor waits for its end. */
const STOP_MS = 5_000;

/** Intervals and durations that a test shortens. */
export type ClusterWorkTimes = Partial<
  Pick<CandidacyOptions, "durationMs" | "renewMs" | "jitterMs" | "settleMs" | "retryMs" | "refreshMs" | "driftMs"> &
    Pick<NodeWorkOptions, "graceMs" | "lookMs" | "recordsMs" | "turnMs">
> & {
  /** Of a heal period. */
  readonly healMs?: number;
};

export interface ClusterWorkOptions extends ClusterWorkTimes {
  readonly cluster: Cluster;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly sandboxes: Sandboxes;
  readonly recorder: Pick<EventRecorder, "record">;
  readonly log: Log;
  /** Incremented. */
  readonly counters: Counters;
  readonly refusals?: Refusals;
  /** Default: as many nodes as the cluster has at the start. */
  readonly fleet?: Fleet;
  /** Renewed by every report. */
  readonly heartbeat?: Heartbeat;
  readonly maxRecords?: number;
  readonly step?: (step: IpamStep) => void;
}

/**
 * A cluster that stores addresses of this node's pods: the store, and what the agent does about them in the background. It
 * garbage-collects and heals its own node's, and in turn with the other agents does the leader's work for all. Starting
 * requires neither the definitions nor an API server that answers: both are waited for.
 *
 * Idle it costs the API server two watches, renewed every 10 to 20 minutes (settings and definition have two more), so 0.3
 * requests a minute; in a large cluster one of them less, and a GET of each of its claims in ten minutes. The leader's five
 * additional watches and its lease make 1.6 a minute.
 */
export class ClusterWork implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly store: Store;
  readonly modes: ModeWatch;
  readonly period: HealPeriod;
  /** The last addresses that this agent freed. */
  readonly freed = new FreedHistory();
  /** Fulfilled when the mode is known, and whether this node's reservations are all there. */
  readonly known: Promise<void>;
  readonly #options: ClusterWorkOptions;
  readonly #looked = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  #done: Promise<unknown> = Promise.resolve();
  #isStarted = false;
  /** The last heal period for which this node has done its part. */
  #putBack: string | undefined;

  /** Sends the cluster nothing. The store claims in mode `coexist` until the mode is known. */
  constructor(options: ClusterWorkOptions) {
    const { cluster, node, log, healMs, step } = options;
    this.#options = options;
    this.cluster = cluster;
    this.modes = new ModeWatch(log);
    const { modes } = this;
    const period = new HealPeriod({
      cluster,
      node,
      log,
      signal: this.#stop.signal,
      ...(healMs !== undefined && { healMs }),
    });
    this.period = period;
    modes.onSettings((settings) => period.saw(settings));
    modes.onVerified((is) => period.verified("settings", is));
    period.onWait(() => modes.hurry());
    this.store = new KubernetesStore({
      cluster,
      mode: () => modes.mode,
      epoch: () => modes.epoch,
      ready: () => period.ready(),
      hold: () => period.hold(),
      onRestored: (why) => period.notice(why),
      log,
      createsAdopted: true,
      ...(step && { step }),
    });
    this.known = Promise.all([modes.synced, this.#looked.promise]).then(() => {});
  }

  /** Starts everything, once: what claims wait for (settings, definition), then the node's part, the leader's, and reports. */
  start(): void {
    if (this.#isStarted || this.#stop.signal.aborted) return;
    this.#isStarted = true;
    const { cluster, log, refusals } = this.#options;
    const { modes, period } = this;
    const { signal } = this.#stop;
    const fleet = this.#options.fleet ?? Fleet.of(cluster, log, signal);
    const follows = { cluster, log, fleet, ...(refusals && { refusals }) };
    modes.follow(follows, signal);
    followDefinition(follows, signal, (uid) => period.defined(uid));
    const context = this.#contextOf(fleet);
    const shared = { ...this.#options, modes, period, signal };
    this.#done = Promise.all([
      lookAfterNode(context, {
        ...shared,
        onLooked: this.#looked.resolve,
        onPutBack: (why) => {
          this.#putBack = why;
          return this.report(signal);
        },
      }),
      standForLeader(context, shared),
      this.#keepReporting(),
    ]).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }

  /** Reports in which mode this node acts, which renews the node's heartbeat. @throws {ApiError} */
  async report(signal: AbortSignal): Promise<void> {
    const { cluster, node, heartbeat, sandboxes, log } = this.#options;
    const statics = await staticRecords(sandboxes.journal, node).catch((err) => {
      log.warn({ err }, "cannot read the journal for this node's report");
      return undefined;
    });
    const sinceMs = heartbeat?.nowMs() ?? 0;
    const putBack = this.#putBack;
    const said = { mode: this.modes.mode, ...(putBack !== undefined && { putBack }), statics };
    await reportMode(cluster, node, said, signal);
    heartbeat?.renewed(sinceMs);
  }

  /**
   * Ends it: no more requests are sent, and a leader has released its lease or tried to. Work that waits for an attachment's
   * lock is given 5 s at most. Idempotent.
   */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.race([this.#done, sleep(STOP_MS, undefined, { ref: false })]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #contextOf(fleet: Fleet): Context {
    const { cluster, node, recorder, log, counters, refusals } = this.#options;
    const { modes, store, freed } = this;
    const events = new Events(recorder, cluster.namespace);
    const told = new AddressEvents(log, events, counters, freed);
    const shared = { cluster, store, mode: () => modes.mode, node, log, events, told, counters, fleet };
    return { ...shared, ...(refusals && { refusals }) };
  }

  /** A takeover waits until every node has reported its mode. */
  async #keepReporting(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    if (!(await beforeAbort(this.modes.synced, signal))) return;
    this.modes.onChange(
      () =>
        void this.report(signal).catch((err) => {
          if (!signal.aborted) log.warn({ err }, "mode not reported; the next report will");
        }),
    );
    await repeat("mode report", { everyMs: REPORT_MS, signal, log }, () => this.report(signal));
  }
}
