import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { peer } from "../../lab/cluster/api-server.ts";
import { installWhereabouts } from "../../lab/cluster/install.ts";
import { makeNamespace } from "../../lab/cluster/objects.ts";
import type { Json } from "../../lab/cluster/raw.ts";
import { Cluster } from "../../lab/kubelet/cluster.ts";
import { kubeconfigFor } from "../../lab/kubelet/kubeconfig.ts";
import { Multus, type MultusForm } from "../../lab/kubelet/multus.ts";
import { applyRailNad } from "../../lab/kubelet/rail-nad.ts";
import { Railnet } from "../../lab/kubelet/railnet.ts";
import {
  CONTESTANTS,
  type Contestant,
  networkConfig,
  networkName,
  PEER_FILES,
  PEER_NAMESPACE,
  PLUGINS,
} from "./contestants.ts";
import { buildTimed, type Call, parseCalls } from "./timed.ts";

const BIN = "/opt/cni/bin";
/** Where the executables are that are timed, and what was seen of them. */
const TIMED = "/opt/cni/timed";
const POLL_MS = 50;
const LIMIT_MS = 300_000;

export interface PlaceOptions {
  /** That run at once: each has a VF of every rail. */
  readonly pods: number;
  readonly multus: MultusForm;
  readonly signal: AbortSignal;
}

/** Where it is measured: one cluster with one kubelet and one Multus, which has both contestants' plugins. */
export class Place implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #signal: AbortSignal;
  #taken = 0;

  private constructor(cluster: Cluster, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#signal = signal;
  }

  static async prepare({ pods, multus, signal }: PlaceOptions): Promise<Place> {
    await using stack = new AsyncDisposableStack();
    const cluster = stack.use(await Cluster.start({ vfs: pods, fsync: true }));
    await Promise.race([install(cluster, multus), whenAborted(signal)]);
    stack.move();
    return new Place(cluster, signal);
  }

  /** Makes pods with a VF of each rail. */
  async create(who: Contestant, names: readonly string[]): Promise<void> {
    const { pods, rails } = this.#cluster;
    const networks = (vf: number) => rails.map((_, rail) => networkName(who, rail, vf));
    await Promise.all(names.map((name, vf) => pods.create(name, { networks: networks(vf) })));
  }

  /** Waits until all run. @throws {Error} with the events of one that does not. */
  async running(names: readonly string[]): Promise<void> {
    const runs = ({ status }: Json) => status.phase === "Running" && status.containerStatuses?.[0]?.ready;
    const late = await this.#until((pods) =>
      names.filter((name) => !pods.some((pod) => pod.metadata.name === name && runs(pod))),
    );
    if (late.length === 0) return;
    const events = await this.#cluster.pods.events(late[0]!);
    throw new Error(`${late.length} of ${names.length} pods do not run; ${late[0]}: ${events.join("\n")}`);
  }

  /** Deletes pods; returns when they, their addresses and the addresses' records are gone. */
  async remove(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#cluster.pods.delete(name)));
    const left = await this.#until((pods) => pods.map(({ metadata }) => metadata.name));
    if (left.length > 0) throw new Error(`${left.join(", ")}: not gone after ${LIMIT_MS / 1000} s`);
    const addresses = await this.#until(() => this.#addresses());
    if (addresses.length > 0) throw new Error(`never given back: ${addresses.join(", ")}`);
  }

  /** All calls of plugins since it was asked last. */
  takeCalls(): Call[] {
    const file = this.#cluster.node.path(`${TIMED}/calls`);
    const calls = existsSync(file) ? parseCalls(readFileSync(file, "utf8")) : [];
    const taken = calls.slice(this.#taken);
    this.#taken = calls.length;
    return taken;
  }

  /** @throws {Error} when Railnet was not measured in the mode that the figures are of. */
  async assertAbsent(): Promise<void> {
    const { data } = await this.#cluster.api.raw.get("/api/v1/namespaces/kube-system/configmaps/railnet-config");
    if (data.whereabouts !== "absent")
      throw new Error(`Railnet left mode absent: it is ${data.whereabouts} now, the figures are of no use`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster.stop();
  }

  /** What is missing, looked at again and again until it is nothing or the time is over. */
  async #until(missing: (pods: Json[]) => readonly string[] | Promise<readonly string[]>): Promise<readonly string[]> {
    for (const end = performance.now() + LIMIT_MS; ; await sleep(POLL_MS)) {
      this.#signal.throwIfAborted();
      const left = await missing(await this.#cluster.api.raw.list("/api/v1/namespaces/default/pods"));
      if (left.length === 0 || performance.now() > end) return left;
    }
  }

  /** Of both contestants: reservations, and records of pools. */
  async #addresses(): Promise<string[]> {
    const { raw } = this.#cluster.api;
    const list = (plural: string) => raw.list(`/apis/whereabouts.cni.cncf.io/v1alpha1/${plural}`);
    const reservations = (await list("overlappingrangeipreservations")).map(({ metadata }) => metadata.name);
    const records = (await list("ippools")).flatMap(({ metadata, spec }) =>
      Object.keys(spec.allocations).map((offset) => `${metadata.name} ${offset}`),
    );
    return [...reservations, ...records];
  }
}

/** Rejects then. What waits for a cluster that was interrupted would wait long. */
function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}

async function install(cluster: Cluster, multus: MultusForm): Promise<void> {
  await Multus.start(cluster, multus);
  await Railnet.install(cluster);
  await installPeer(cluster);
  await installTimed(cluster);
  await applyNetworks(cluster);
}

/** Whereabouts in a namespace of its own, with its own manifest's rights; its resources are there. */
async function installPeer({ api, node }: Cluster): Promise<void> {
  await makeNamespace(api.raw, PEER_NAMESPACE);
  const kubeconfig = JSON.parse(kubeconfigFor(api, { token: await installWhereabouts(api) }));
  kubeconfig.contexts[0].context.namespace = PEER_NAMESPACE;
  node.write(PEER_FILES.kubeconfig, JSON.stringify(kubeconfig), 0o600);
  const flat = { datastore: "kubernetes", kubernetes: { kubeconfig: PEER_FILES.kubeconfig }, log_level: "error" };
  node.write(PEER_FILES.flat, JSON.stringify(flat));
  await node.exec(["install", peer(PLUGINS.peer), peer("whereabouts"), BIN]);
}

/** Puts the timer in the place of what Multus executes; what a plugin executes itself is not timed by itself. */
async function installTimed({ node }: Cluster): Promise<void> {
  const timer = join(node.folder, "timed");
  buildTimed(timer);
  await node.exec(["mkdir", "-p", TIMED]);
  for (const plugin of Object.values(PLUGINS)) {
    await node.exec(["mv", `${BIN}/${plugin}`, `${TIMED}/${plugin}`]);
    await node.exec(["install", timer, `${BIN}/${plugin}`]);
  }
}

async function applyNetworks({ api, rails }: Cluster): Promise<void> {
  for (const [rail, { name, vfs }] of rails.entries())
    for (const [vf, { pci }] of vfs.entries())
      for (const who of CONTESTANTS)
        await applyRailNad(api.raw, networkName(who, rail, vf), name, networkConfig(who, rail, pci));
}
