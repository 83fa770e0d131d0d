import { createHash } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiServer } from "../../../../lab/cluster/api-server.ts";
import { type Living, takePicture, whatIsWrong } from "../../../../lab/cluster/checker.ts";
import { type Answer, ClusterNode, type NodeOptions } from "../../../../lab/cluster/cluster-node.ts";
import { deletePod, makeNode, makePod } from "../../../../lab/cluster/objects.ts";
import type { Json } from "../../../../lab/cluster/raw.ts";
import { until } from "../../../../lab/until.ts";

/** `alone`: the executable does it by itself; `agent`: asked over its socket. */
export type Way = "agent" | "alone";

export interface PodSandbox {
  readonly node: ClusterNode;
  readonly way: Way;
  readonly network: string;
  readonly config: Json;
  readonly id: string;
  readonly pod: string;
  readonly uid: string;
  readonly ifname: string;
  /** A file that stands for the network namespace: it is there as long as the sandbox lives. */
  readonly netns: string;
}

/** Nothing answered: the process died, or does not run. */
export const NO_ANSWER: Answer = { exit: null, json: undefined };

/** What kubelet and container runtime do on the nodes of a cluster, with their memory of which attachment lives. */
export class Runtime {
  readonly #api: ApiServer;
  readonly nodes: ClusterNode[] = [];
  readonly #living = new Map<string, Living>();
  #made = 0;

  constructor(api: ApiServer) {
    this.#api = api;
  }

  /** A node, ready in the API, its agent not started. */
  async node(name: string, options: Omit<NodeOptions, "folder">): Promise<ClusterNode> {
    await makeNode(this.#api.raw, name);
    const conditions = [{ type: "Ready", status: "True", reason: "KubeletReady", message: "" }];
    await this.#api.raw.merge(`/api/v1/nodes/${name}/status`, { status: { conditions } });
    const node = new ClusterNode(name, { folder: this.#api.folder, ...options });
    this.nodes.push(node);
    return node;
  }

  /** Agents that do not wait a minute for what they need to see twice. */
  async start(node: ClusterNode): Promise<void> {
    await node.start("--grace-seconds", "1");
  }

  /** Waits until this node's agent leads: one that is killed while it leads has no successor for minutes. */
  async leads({ name }: ClusterNode): Promise<void> {
    const path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/railnet-leader";
    const holder = async (): Promise<string> =>
      (await this.#api.raw.request("GET", path)).body?.spec?.holderIdentity ?? "";
    await until(`${name} leads`, async () => (await holder()).startsWith(`${name}_`));
  }

  /** A running pod's sandbox, not attached. */
  async sandbox(node: ClusterNode, way: Way, network: string, config: Json, ifname = "net1"): Promise<PodSandbox> {
    const pod = `${network || "pod"}-${this.#made++}`;
    const { metadata } = await makePod(this.#api.raw, pod, { node: node.name });
    const id = createHash("sha256").update(pod).digest("hex");
    const netns = `${node.folder}/netns/${id}`;
    writeFileSync(netns, "");
    return { node, way, network, config, id, pod, uid: metadata.uid, ifname, netns };
  }

  /** One ADD, as it comes out. */
  async add(sandbox: PodSandbox): Promise<Answer> {
    const answer = await this.#call("ADD", sandbox);
    if (answer.exit !== 0) return answer;
    const { id, ifname, network, pod, node } = sandbox;
    const ips = answer.json.ips.map(({ address }: Json) => address.split("/")[0]);
    this.#living.set(id + ifname, { podref: `default/${pod}`, ifname, id, ips, network, folder: node.folder });
    return answer;
  }

  /** One DEL, as it comes out. The attachment does not count as living from its beginning on. */
  async del(sandbox: PodSandbox): Promise<Answer> {
    this.#living.delete(sandbox.id + sandbox.ifname);
    return this.#call("DEL", sandbox);
  }

  /** The sandbox ended by itself: the namespace is gone, and so is the pod, and no DEL comes. */
  async vanish({ id, ifname, netns, pod }: PodSandbox): Promise<void> {
    this.#living.delete(id + ifname);
    rmSync(netns, { force: true });
    await deletePod(this.#api.raw, pod);
  }

  /** The end of a pod: DEL until it succeeds, then the namespace, then the pod. @returns how many DELs it took. */
  async end(sandbox: PodSandbox): Promise<number> {
    let dels = 1;
    for (; (await this.del(sandbox)).exit !== 0; dels++) {
      if (dels === 100) throw new Error(`100 DELs of ${sandbox.pod} failed`);
      await sleep(200);
    }
    rmSync(sandbox.netns, { force: true });
    await deletePod(this.#api.raw, sandbox.pod);
    return dels;
  }

  /** The node and all that ran there are no more. */
  forget(node: ClusterNode): void {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    for (const [key, { folder }] of this.#living) if (folder === node.folder) this.#living.delete(key);
  }

  get living(): readonly Living[] {
    return [...this.#living.values()];
  }

  /** What is still wrong after time to put it right: nothing, as soon as nothing is. */
  async wrong(network?: string, patienceMs = 120_000): Promise<string[]> {
    for (const limit = Date.now() + patienceMs; ; await sleep(250)) {
      const picture = await takePicture(
        this.#api.raw,
        this.nodes.map(({ folder }) => folder),
      );
      const faults = whatIsWrong(picture, this.living, network);
      if (faults.length === 0 || Date.now() > limit) return faults;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop("SIGKILL")));
  }

  #call(verb: "ADD" | "DEL", { node, way, config, netns, ...sandbox }: PodSandbox): Promise<Answer> {
    const call =
      way === "agent"
        ? node.call(verb, config, { ...sandbox, netns })
        : node.alone(verb, config, { ...sandbox, netns });
    return call.catch(() => NO_ANSWER);
  }
}

/** A network configuration of one range. */
export const configOf = (network: string, range: string, more: Json = {}): Json => ({
  cniVersion: "1.0.0",
  name: network || "net",
  type: "macvlan",
  ipam: { type: "railnet-ipam", range, ...(network && { network_name: network }), ...more },
});

/** Runs work on every item, so many at a time; results in the order of the items. */
export function inLanes<T, R>(
  items: readonly T[],
  lanes: number,
  work: (item: T, lane: number) => Promise<R>,
): Promise<R>[] {
  const results = items.map(() => Promise.withResolvers<R>());
  let next = 0;
  const lane = async (index: number) => {
    for (let at = next++; at < items.length; at = next++) {
      const result = results[at]!;
      result.promise.catch(() => {}); // looked at later, by its own test
      await work(items[at]!, index).then(result.resolve, result.reject);
    }
  };
  for (let index = 0; index < lanes; index++) void lane(index);
  return results.map(({ promise }) => promise);
}
