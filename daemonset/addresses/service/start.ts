import { readBootId } from "../../../cni/boot-id.ts";
import type { Log, Paths } from "../../../cni/host.ts";
import type { Call, CniRequest, CniResponse } from "../../../cni/protocol/request.ts";
import type { Network } from "../../../ipam/connect.ts";
import type { NodePolicy } from "../../../ipam/host.ts";
import { lockIn } from "../../../ipam/node-host.ts";
import type { IpamStep } from "../../../ipam/steps.ts";
import type { Storage } from "../../../ipam/storage.ts";
import { toStoreError } from "../../../ipam/store/kubernetes/failure.ts";
import { openStore } from "../../../ipam/store/open.ts";
import type { Store } from "../../../ipam/store/store.ts";
import { kubeconfigOfNode } from "../../../ipam/whereabouts/flat-file.ts";
import type { CallerOptions } from "../../../kubernetes/caller.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import type { EventRecorder } from "../../../kubernetes/events/recorder.ts";
import { KUBECONFIG } from "../../install/places.ts";
import type { IpamReply } from "../../ipam-reply.ts";
import { repeat } from "../../loop.ts";
import { type Counters, noCounts } from "../counters.ts";
import { patienceMs } from "../leader/gone-nodes.ts";
import type { FenceCluster, FenceOptions } from "../node/fence.ts";
import { Standing } from "../node/standing.ts";
import { Refusals } from "../refusals.ts";
import { AddressService } from "./service.ts";

/** The agent's half of IPAM. */
export interface Addresses {
  readonly answer: (request: CniRequest, signal: AbortSignal) => Promise<CniResponse>;
  /** The same for a call of the attach plugin, with values. */
  readonly reply: (call: Call, signal: AbortSignal) => Promise<IpamReply>;
  readonly counters: Counters;
  /** The cluster that has this node's addresses, once it is known; it may not answer. Never fulfilled without one. */
  readonly cluster: Promise<Cluster>;
  /** What the API server refuses of what the agent must follow, one sentence each; none: all is well. */
  refused(): readonly string[];
  /** Attachments whose addresses are not given back yet. */
  pending(): number;
  /** What the fence by lease needs of this half. */
  readonly fencing: Pick<FenceOptions, "standing" | "stateDir" | "bootId" | "patienceMs" | "cluster" | "counters">;
  stop(): void;
}

export interface AddressesOptions {
  readonly paths: Paths;
  readonly policy: NodePolicy;
  readonly log: Log;
  readonly recorder: EventRecorder;
  /** Told of every request to the API server. */
  readonly countRequest?: CallerOptions["count"];
  readonly step?: (step: IpamStep) => void;
  /** Between two looks of the same evidence before anything is freed or forgotten. */
  readonly graceMs?: number;
  /** This agent's pod brings a service account: then the node's own kubeconfig, which others use, is not this agent's. */
  readonly hasAccount?: boolean;
  /** Default: the machine's. */
  readonly network?: Network;
}

/** What stand-alone executables leave in the journal is taken in after at most this time. */
const SCAN_MS = 15_000;

/** Starts the IPAM plugin of the agent: answers calls, works off what earlier processes left, looks after the cluster's addresses. */
export function startAddresses(options: AddressesOptions): Addresses {
  const { paths, policy, log, recorder, countRequest, step, graceMs, network } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const counters = noCounts();
  const refusals = new Refusals();
  const faults = step && { step };
  const bootId = readBootId();
  const standing = new Standing({ stateDir: paths.stateDir, bootId, log });
  const reached = Promise.withResolvers<Cluster>();
  let heardBy: FenceCluster | undefined;
  let of: string | undefined; // what another cluster hears says nothing of this one
  const open = async (storage: Storage): Promise<Store> => {
    if (storage.kind === "directory") return openStore(storage, { log, lockIn, ...faults });
    const { openInAgent } = await import("./kubernetes.ts");
    const grace = graceMs !== undefined && { graceMs, lookMs: Math.min(graceMs, 60_000) };
    // The pod's own token has the agent's rights, and does not end with the Node object.
    const kubeconfig = options.hasAccount && storage.kubeconfig === KUBECONFIG ? undefined : storage.kubeconfig;
    const optional = { ...(countRequest && { countRequest }), ...(network && { network }) };
    const shared = { service, log, recorder, ...optional, counters, refusals, signal };
    of ??= storage.kubeconfig;
    const onOpen = (cluster: FenceCluster) => {
      heardBy = cluster;
    };
    const fencing = of === storage.kubeconfig && { standing, onOpen, onCluster: reached.resolve };
    return openInAgent({ ...(kubeconfig && { kubeconfig }), ...shared, ...faults, ...grace, ...fencing }).catch(
      (error) => {
        throw toStoreError("reach the API server", error);
      },
    );
  };
  const settle = graceMs !== undefined && { settleMs: graceMs };
  const service = new AddressService({ paths, policy, log, ...faults, ...settle, open });
  void repeat("addresses to release", { everyMs: SCAN_MS, signal, log }, async () => service.releases.scan());
  void openClusterOf(service, log);
  return {
    answer: (request, caller) => service.answer(request, caller),
    reply: (call, caller) => service.reply(call, caller),
    counters,
    cluster: reached.promise,
    refused: () => refusals.all(),
    pending: () => service.releases.pending,
    fencing: {
      standing,
      stateDir: paths.stateDir,
      bootId,
      patienceMs: patienceMs(graceMs),
      cluster() {
        if (!heardBy) void openClusterOf(service, log); // no ADD may come while all waits for it
        return heardBy;
      },
      counters,
    },
    stop() {
      stopping.abort();
      service.releases.stop();
    },
  };
}

/** The work behind the store begins with the agent, not with its first ADD: the pods of before need it too. */
async function openClusterOf({ host }: AddressService, log: Log): Promise<void> {
  try {
    const kubeconfig = kubeconfigOfNode(host);
    if (kubeconfig) await host.store({ kind: "kubernetes", kubeconfig });
  } catch (err) {
    log.warn({ err }, "cannot look after the cluster's addresses until an ADD reaches it");
  }
}
