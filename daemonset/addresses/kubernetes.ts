import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../cni/host.ts";
import type { CallerOptions } from "../../ipam/kubernetes/caller.ts";
import type { Cluster } from "../../ipam/kubernetes/cluster.ts";
import { connect } from "../../ipam/kubernetes/connect.ts";
import type { IpamStep } from "../../ipam/steps.ts";
import { KubernetesStore } from "../../ipam/store/kubernetes.ts";
import type { Store } from "../../ipam/store/store.ts";
import type { EventRecorder } from "../events/recorder.ts";
import { repeat } from "../loop.ts";
import { type BackgroundOptions, startBackground } from "./background.ts";
import { Events } from "./events.ts";
import { ModeWatch } from "./mode-watch.ts";
import { REPORT_MS, reportMode } from "./report.ts";
import { sandboxesOf } from "./sandboxes.ts";
import type { AddressService } from "./service.ts";

/** A first ADD waits this long to learn the cluster's mode; then it takes the one that is always right. */
const MODE_WAIT_MS = 2_000;

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
  readonly step?: (step: IpamStep) => void;
}

/** The store of a resident process, with all the work that goes on behind it. @throws {ApiError} when the configuration cannot be used. */
export async function openInAgent(options: AgentStoreOptions): Promise<Store> {
  const { kubeconfig, service, log, recorder, countRequest, step, refusals, signal } = options;
  const { node } = service.host;
  const cluster = await connect({ ...(kubeconfig && { kubeconfig }), ...(countRequest && { count: countRequest }) });
  recorder.connect(cluster, node);
  const modes = new ModeWatch({ cluster, log, ...(refusals && { refusals }) }, signal);
  const store = new KubernetesStore({
    cluster,
    mode: () => modes.mode,
    epoch: () => modes.epoch,
    log,
    createsAdopted: true,
    ...(step && { step }),
  });
  await Promise.race([modes.synced, sleep(MODE_WAIT_MS, undefined, { ref: false })]);
  const events = new Events(recorder, cluster.namespace);
  startBackground({ ...options, cluster, store, modes, node, events, sandboxes: sandboxesOf(service.host) });
  keepReporting(cluster, node, modes, options);
  return store;
}

/** A takeover waits until every node says by which mode it acts. */
function keepReporting(cluster: Cluster, node: string, modes: ModeWatch, { log, signal }: AgentStoreOptions): void {
  const report = () => reportMode(cluster, node, modes.mode, signal);
  const time = { everyMs: REPORT_MS, signal, log };
  void modes.synced.then(() => repeat("mode report", time, report));
  modes.onChange(() => void report().catch((err) => log.warn({ err }, "mode not reported; the next report will")));
}
