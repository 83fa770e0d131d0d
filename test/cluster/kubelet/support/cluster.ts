import { until } from "../../../netns/support/run.ts";
import { ApiServer } from "../../support/api-server.ts";
import type { Json } from "../../support/raw.ts";
import { addNodeAddress, setUpClusterNetwork } from "./cluster-network.ts";
import { Containerd } from "./containerd.ts";
import { ControlPlane } from "./control-plane.ts";
import { makeImage, PAUSE } from "./image.ts";
import { Kubelet } from "./kubelet.ts";
import { Node } from "./node.ts";
import { Pods } from "./pods.ts";
import { letVfsFallBack, listRails, plugInRails, type Rail } from "./rails.ts";
import { ServiceAddress } from "./service-address.ts";

export interface ClusterOptions {
  /** VFs of each of the node's four rails. Default 4. */
  readonly vfs?: number;
  /** etcd waits for the disk, as in a cluster that is measured. Default false. */
  readonly fsync?: boolean;
}

/** A real cluster of one node: etcd, API server, controllers, scheduler, containerd and kubelet. Ready in about 10 s. */
export class Cluster implements AsyncDisposable {
  readonly api: ApiServer;
  readonly node: Node;
  readonly containerd: Containerd;
  readonly kubelet: Kubelet;
  readonly service: ServiceAddress;
  readonly pods: Pods;
  readonly rails: readonly Rail[];
  readonly #control: ControlPlane;
  #endFallBack = (): void => {};

  private constructor(api: ApiServer, node: Node, service: ServiceAddress, rails: readonly Rail[]) {
    this.api = api;
    this.node = node;
    this.service = service;
    this.rails = rails;
    this.containerd = new Containerd(node);
    this.kubelet = new Kubelet(node, api);
    this.pods = new Pods(api.raw);
    this.#control = new ControlPlane(api);
  }

  /** @throws {Error} that says what did not come up. */
  static async start({ vfs = 4, fsync = false }: ClusterOptions = {}): Promise<Cluster> {
    await using stack = new AsyncDisposableStack();
    const api = stack.use(await ApiServer.start({ nodes: true, fsync }));
    const node = stack.use(await Node.start("node1"));
    const service = stack.use(await ServiceAddress.open(node, api.url));
    const cluster = new Cluster(api, node, service, listRails(vfs));
    stack.defer(() => cluster.#control.stop());
    stack.defer(() => cluster.#endFallBack());
    await cluster.#bringUp();
    stack.move();
    return cluster;
  }

  async stop(): Promise<void> {
    this.#endFallBack();
    this.service.down();
    await this.#control.stop();
    await this.node.stop();
    await this.api.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Waits until the node is Ready and a pod can be made in namespace `default`. */
  async ready(): Promise<void> {
    const { raw } = this.api;
    const is = async (path: string) => (await raw.request("GET", path)).status === 200;
    await until(
      "the cluster is ready",
      async () => {
        const ended = this.#control.broken ?? this.kubelet.ended;
        if (ended) throw new Error(ended);
        const { body: node } = await raw.request("GET", `/api/v1/nodes/${this.node.name}`);
        const isReady = node.status?.conditions?.some(
          ({ type, status }: Json) => type === "Ready" && status === "True",
        );
        return (
          isReady &&
          !node.spec.taints &&
          (await is("/api/v1/namespaces/default/serviceaccounts/default")) &&
          (await is("/api/v1/namespaces/default/configmaps/kube-root-ca.crt"))
        );
      },
      120_000,
      100,
    );
  }

  async #bringUp(): Promise<void> {
    await addNodeAddress(this.node);
    await setUpClusterNetwork(this.node);
    await plugInRails(this.node, this.rails);
    this.#endFallBack = letVfsFallBack(this.node, this.rails);
    await this.containerd.start();
    await this.containerd.load(makeImage(this.node.folder, PAUSE));
    await this.kubelet.start();
    await this.ready();
  }
}
