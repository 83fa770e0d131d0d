import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { ApiServer } from "../../../../lab/cluster/api-server.ts";
import type { Living } from "../../../../lab/cluster/checker.ts";
import type { ClusterNode } from "../../../../lab/cluster/cluster-node.ts";
import { deletePod, makePod } from "../../../../lab/cluster/objects.ts";
import type { Json } from "../../../../lab/cluster/raw.ts";
import type { Sandbox, Whereabouts } from "../../../../lab/cluster/whereabouts.ts";

export type Who = "railnet" | "whereabouts";

/** Calls of one side so far. */
export interface Tally {
  done: number;
  failed: number;
  readonly errors: string[];
}

export interface InteropPod {
  readonly by: Who;
  readonly node: ClusterNode;
  readonly sandbox: Sandbox & { readonly uid: string; readonly netns: string };
  readonly range: string;
}

const STATUS = "k8s.v1.cni.cncf.io/network-status";
const LIMIT_MS = 120_000;

/** Pods of nodes where either plugin gives the addresses, and what each says of its network, as Multus does it. */
export class Pods {
  readonly tally: Readonly<Record<Who, Tally>> = {
    railnet: { done: 0, failed: 0, errors: [] },
    whereabouts: { done: 0, failed: 0, errors: [] },
  };
  readonly #api: ApiServer;
  readonly #whereabouts: Whereabouts;
  readonly #living = new Map<string, Living>();
  #made = 0;

  constructor(api: ApiServer, whereabouts: Whereabouts) {
    this.#api = api;
    this.#whereabouts = whereabouts;
  }

  get living(): readonly Living[] {
    return [...this.#living.values()];
  }

  /** Starts a pod. @returns undefined when ADD failed: it got a DEL, and is gone. */
  async start(by: Who, node: ClusterNode, range: string): Promise<InteropPod | undefined> {
    const name = `${by}-${this.#made++}`;
    const { metadata } = await makePod(this.#api.raw, name, { node: node.name, phase: "Pending" });
    const id = createHash("sha256").update(name).digest("hex");
    const netns = `${node.folder}/netns/${id}`;
    writeFileSync(netns, "");
    const pod: InteropPod = { by, node, range, sandbox: { id, pod: name, uid: metadata.uid, netns } };
    const answer = await this.#call("ADD", pod, by);
    if (answer.exit !== 0) {
      await this.end(pod);
      return undefined;
    }
    const ips: string[] = answer.json.ips.map(({ address }: Json) => address.split("/")[0]);
    const folder = by === "railnet" ? node.folder : undefined;
    this.#living.set(id, { podref: `default/${name}`, ifname: "net1", id, ips, network: "", folder });
    await this.#runs(name, ips);
    return pod;
  }

  /** Ends one, DEL by the plugin that its node has now, again until it succeeds. */
  async end(pod: InteropPod, by: Who = pod.by): Promise<void> {
    this.#living.delete(pod.sandbox.id);
    for (let dels = 1; (await this.#call("DEL", pod, by)).exit !== 0; dels++)
      if (dels === 20) throw new Error(`20 DELs of ${pod.sandbox.pod} failed`);
    await deletePod(this.#api.raw, pod.sandbox.pod);
  }

  /** Whereabouts' reconciler frees what it does not find here. */
  async #runs(name: string, ips: readonly string[]): Promise<void> {
    const status = JSON.stringify([{ name: "default/rail", interface: "net1", ips }]);
    await this.#api.raw.merge(`/api/v1/namespaces/default/pods/${name}`, {
      metadata: { annotations: { [STATUS]: status } },
    });
    await this.#api.raw.merge(`/api/v1/namespaces/default/pods/${name}/status`, { status: { phase: "Running" } });
  }

  async #call(verb: "ADD" | "DEL", { node, sandbox, range }: InteropPod, by: Who) {
    const config = { cniVersion: "1.0.0", name: "net", type: "macvlan", ipam: { type: "railnet-ipam", range } };
    const answer =
      by === "railnet"
        ? await node.call(verb, config, sandbox)
        : await this.#whereabouts.call(verb, this.#whereabouts.config({ range }), sandbox, LIMIT_MS);
    const tally = this.tally[by];
    if (answer.exit === 0) tally.done++;
    else {
      tally.failed++;
      tally.errors.push(`${verb}: ${answer.json?.msg ?? answer.exit} ${answer.json?.details ?? ""}`);
    }
    return answer;
  }
}
