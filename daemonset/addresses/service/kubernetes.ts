import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../../cni/host.ts";
import { connect, type Network } from "../../../ipam/connect.ts";
import type { IpamStep } from "../../../ipam/steps.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import type { Store } from "../../../ipam/store/store.ts";
import type { CallerOptions } from "../../../kubernetes/caller.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import type { EventRecorder } from "../../../kubernetes/events/recorder.ts";
import { repeat } from "../../loop.ts";
import { Events } from "../events.ts";
import { Fleet } from "../fleet.ts";
import { followDefinition } from "../node/definition-watch.ts";
import type { FenceCluster } from "../node/fence.ts";
import { HealPeriod } from "../node/heal-period.ts";
import { ModeWatch } from "../node/mode-watch.ts";
import { REPORT_MS, reportMode } from "../node/report.ts";
import { sandboxesOf } from "../node/sandboxes.ts";
import type { Standing } from "../node/standing.ts";
import { type BackgroundOptions, startBackground } from "./background.ts";
import type { AddressService } from "./service.ts";

/**
 * A first ADD waits this long to learn the cluster's mode, and whether this node's reservations are all there; then it
 * takes the mode that is always right.
 */
const WAIT_MS = 2_000;

export interface AgentStoreOptions
  extends Pick<BackgroundOptions, "graceMs" | "lookMs" | "counters" | "refusals" | "signal"> {
  /** Default: the service account of the agent's pod. */
  readonly kubeconfig?: string;
  readonly service: AddressService;
  readonly log: Log;
  /** Writes to this cluster from now on. */
  readonly recorder: EventRecorder;
  /** Told of every request to the API server. */
  readonly countRequest?: CallerOptions["count"];
  readonly network?: Network;
  readonly step?: (step: IpamStep) => void;
  /** Renewed by every report. */
  readonly standing?: Standing;
  /** Told once, before anything was asked. */
  readonly onCluster?: (cluster: Cluster) => void;
  /** Told once the cluster can be asked, if it answers or not. */
  readonly onOpen?: (cluster: FenceCluster) => void;
}

/** The store of a resident process, with all the work that goes on behind it. @throws {ApiError} when the configuration cannot be used. */
export async function openInAgent(options: AgentStoreOptions): Promise<Store> {
  const { kubeconfig, service, log, recorder, countRequest, network, step, refusals, signal } = options;
  const { node } = service.host;
  const access = { ...(kubeconfig && { kubeconfig }), ...(network && { network }) };
  const cluster = await connect({ ...access, ...(countRequest && { count: countRequest }) });
  recorder.connect(cluster, node);
  options.onCluster?.(cluster);
  const period = new HealPeriod({ cluster, node, log, signal });
  const fleet = Fleet.of(cluster, log, signal);
  const follows = { cluster, log, fleet, ...(refusals && { refusals }) };
  const modes = new ModeWatch(follows, signal, (settings) => period.saw(settings));
  const store = new KubernetesStore({
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
  const events = new Events(recorder, cluster.namespace);
  const sandboxes = sandboxesOf(service.host);
  followDefinition(follows, signal, (uid) => period.defined(uid));
  const report = reporter(cluster, node, modes, options);
  const onPutBack = (putBack: string) => report(signal, putBack);
  const { looked } = startBackground({
    ...options,
    cluster,
    fleet,
    store,
    modes,
    period,
    node,
    events,
    sandboxes,
    onPutBack,
  });
  await Promise.race([Promise.all([modes.synced, looked]), sleep(WAIT_MS, undefined, { ref: false })]);
  options.onOpen?.({ store, renew: report });
  keepReporting(modes, options, report);
  return store;
}

/** A report, which renews the node's standing. What it has put back is said again by the next ones. */
function reporter(cluster: Cluster, node: string, modes: ModeWatch, { standing }: AgentStoreOptions) {
  let last: string | undefined;
  return async (signal: AbortSignal, putBack = last): Promise<void> => {
    last = putBack;
    const sinceMs = standing?.nowMs() ?? 0;
    await reportMode(cluster, node, { mode: modes.mode, ...(putBack !== undefined && { putBack }) }, signal);
    standing?.renewed(sinceMs);
  };
}

/** A takeover waits until every node says by which mode it acts. */
function keepReporting(
  modes: ModeWatch,
  { log, signal }: AgentStoreOptions,
  report: (signal: AbortSignal) => Promise<void>,
): void {
  const time = { everyMs: REPORT_MS, signal, log };
  void modes.synced.then(() => repeat("mode report", time, () => report(signal)));
  modes.onChange(
    () => void report(signal).catch((err) => log.warn({ err }, "mode not reported; the next report will")),
  );
}
