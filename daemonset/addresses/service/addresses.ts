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
import { KUBECONFIG } from "../../install/paths.ts";
import type { IpamReply } from "../../ipam-reply.ts";
import { pause, repeat } from "../../loop.ts";
import { noCounts } from "../counters.ts";
import { patienceMs } from "../leader/gone-nodes.ts";
import type { FenceOptions } from "../node/fence.ts";
import { Heartbeat } from "../node/heartbeat.ts";
import { sandboxesOf } from "../node/sandboxes.ts";
import { Refusals } from "../refusals.ts";
import type { ClusterWork } from "./cluster-work.ts";
import { Clusters } from "./clusters.ts";
import { AddressService } from "./service.ts";

export interface AddressesOptions {
  readonly paths: Paths;
  readonly policy: NodePolicy;
  readonly log: Log;
  readonly recorder: EventRecorder;
  /** Called for every request to the API server. */
  readonly countRequest?: CallerOptions["count"];
  readonly step?: (step: IpamStep) => void;
  /** Between two looks at the same evidence before anything is freed or dropped. */
  readonly graceMs?: number;
  /** This agent's pod brings a service account: then it does not use the node's own kubeconfig, which others use. */
  readonly hasAccount?: boolean;
  /** Default: the machine's. */
  readonly network?: Network;
}

/** What stand-alone executables leave in the journal is picked up after at most this time. */
const SCAN_MS = 15_000;

/** Pause between attempts to connect to the node's own cluster: Whereabouts' installer may come after us. */
const RETRY_MS = 10_000;

/**
 * The agent's half of IPAM: answers calls, releases what DEL and earlier processes left, and looks after the addresses in
 * the clusters that store them. Nothing runs before start().
 */
export class Addresses {
  readonly counters = noCounts();
  /** The cluster that has this node's addresses, once it is known; it may not answer. Never fulfilled without one. */
  readonly cluster: Promise<Cluster>;
  /** What the fence by lease needs of this half. */
  readonly fencing: Pick<FenceOptions, "heartbeat" | "stateDir" | "bootId" | "patienceMs" | "cluster" | "counters">;
  readonly #options: AddressesOptions;
  readonly #service: AddressService;
  readonly #clusters = new Clusters((kubeconfig) => this.#connect(kubeconfig));
  readonly #heartbeat: Heartbeat;
  readonly #refusals = new Refusals();
  readonly #stop = new AbortController();
  readonly #reached = Promise.withResolvers<Cluster>();
  /** The first that was reached, which is the node's own: whether another cluster hears us says nothing of this node. */
  #own: ClusterWork | undefined;

  constructor(options: AddressesOptions) {
    const { paths, policy, log, step, graceMs } = options;
    const { stateDir } = paths;
    this.#options = options;
    this.#service = new AddressService({
      ...{ paths, policy, log },
      ...(step && { step }),
      ...(graceMs !== undefined && { settleMs: graceMs }),
      open: (storage) => this.#open(storage),
    });
    const bootId = readBootId();
    const heartbeat = new Heartbeat({ stateDir, bootId, log });
    this.#heartbeat = heartbeat;
    this.cluster = this.#reached.promise;
    const fence = { heartbeat, stateDir, bootId, patienceMs: patienceMs(graceMs), counters: this.counters };
    this.fencing = { ...fence, cluster: () => this.#own };
  }

  /** Starts with the agent, not with its first ADD: earlier pods need it too. */
  start(): void {
    const { log } = this.#options;
    const { signal } = this.#stop;
    const { releases } = this.#service;
    void repeat("addresses to release", { everyMs: SCAN_MS, signal, log }, async () => releases.scan());
    void this.#startOwn();
  }

  /** One call of the IPAM plugin. */
  readonly answer = (request: CniRequest, signal: AbortSignal): Promise<CniResponse> =>
    this.#service.answer(request, signal);

  /** The same for a call of the attach plugin, with values. */
  readonly reply = (call: Call, signal: AbortSignal): Promise<IpamReply> => this.#service.reply(call, signal);

  /** What the API server refuses of what the agent must follow, one sentence each; empty if all is well. */
  refused(): readonly string[] {
    return this.#refusals.all();
  }

  /** Attachments whose addresses are not released yet. */
  pending(): number {
    return this.#service.releases.pending;
  }

  /** What DEL left stays in the journal, for the next agent. Returns when no work for a cluster is running any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#service.releases.stop();
    await this.#clusters.stop();
  }

  async #startOwn(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    let said = "";
    for (; !signal.aborted && !this.#own; await pause(RETRY_MS, signal))
      try {
        const kubeconfig = kubeconfigOfNode(this.#service.host);
        if (kubeconfig) await this.#clusters.of(kubeconfig);
      } catch (err) {
        const { message } = err as Error;
        if (message !== said) log.warn({ err }, "cannot reach the node's own cluster yet; retrying");
        said = message;
      }
  }

  async #open(storage: Storage): Promise<Store> {
    const { log, step } = this.#options;
    if (storage.kind === "directory") return openStore(storage, { log, lockIn, ...(step && { step }) });
    try {
      return (await this.#clusters.of(storage.kubeconfig)).store;
    } catch (error) {
      throw toStoreError("reach the API server", error);
    }
  }

  async #connect(path: string): Promise<ClusterWork> {
    const { hasAccount, countRequest, network, graceMs, recorder, log, step } = this.#options;
    const { host } = this.#service;
    const { counters } = this;
    const [{ connect }, { ClusterWork }] = await Promise.all([
      import("../../../ipam/connect.ts"),
      import("./cluster-work.ts"),
    ]);
    // The pod's own token has the agent's rights, and does not end with the Node object.
    const kubeconfig = hasAccount && path === KUBECONFIG ? undefined : path;
    const access = { ...(kubeconfig && { kubeconfig }), ...(network && { network }) };
    const cluster = await connect({ ...access, ...(countRequest && { count: countRequest }) });
    recorder.connect(cluster, host.node);
    const isOwn = !this.#own;
    const work = new ClusterWork({
      ...{ cluster, node: host.node, sandboxes: sandboxesOf(host), recorder, log, counters, refusals: this.#refusals },
      ...(step && { step }),
      ...(graceMs !== undefined && { graceMs, lookMs: Math.min(graceMs, 60_000) }),
      ...(isOwn && { heartbeat: this.#heartbeat }),
    });
    if (isOwn) {
      this.#own = work;
      this.#reached.resolve(cluster);
    }
    return work;
  }
}
