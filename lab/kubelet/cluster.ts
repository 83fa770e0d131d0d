import { ApiServer } from "../cluster/api-server.ts";
import { addNodeAddress, setUpClusterNetwork } from "./cluster-network.ts";
import type { RailPlace } from "./computer.ts";
import { Containerd } from "./containerd.ts";
import { ControlPlane } from "./control-plane.ts";
import { makeImage, PAUSE } from "./image.ts";
import { Kubelet } from "./kubelet.ts";
import { Node } from "./node.ts";
import { Pods } from "./pods.ts";
import { letVfsFallBack, listRails, plugInRails, type Rail } from "./rails.ts";
import { untilReady } from "./ready.ts";
import { ServiceAddress } from "./service-address.ts";
import { WayToKubelets } from "./way-to-kubelets.ts";

export interface ClusterOptions {
  /** VFs of each of the node's four rails. Default 4. */
  readonly vfs?: number;
  /** etcd waits for the disk, as in a cluster that is measured. Default false. */
  readonly fsync?: boolean;
}

/** A real cluster of one node: etcd, API server, controllers, scheduler, containerd and kubelet. Ready in about 10 s. */
export class Cluster implements RailPlace, AsyncDisposable {
  readonly api: ApiServer;
  readonly node: Node;
  readonly containerd: Containerd;
  readonly kubelet: Kubelet;
  readonly service: ServiceAddress;
  readonly control: ControlPlane;
  readonly pods: Pods;
  readonly rails: readonly Rail[];
  #endFallBack = (): void => {};
  #way: WayToKubelets | undefined;

  private constructor(api: ApiServer, node: Node, service: ServiceAddress, rails: readonly Rail[]) {
    this.api = api;
    this.node = node;
    this.service = service;
    this.rails = rails;
    this.containerd = new Containerd(node);
    this.kubelet = new Kubelet(node, api);
    this.pods = new Pods(api.raw);
    this.control = new ControlPlane(api);
  }

  /** @throws {Error} that says what did not start. */
  static async start({ vfs = 4, fsync = false }: ClusterOptions = {}): Promise<Cluster> {
    await using stack = new AsyncDisposableStack();
    const api = stack.use(await ApiServer.start({ nodes: true, fsync }));
    const node = stack.use(await Node.start("node1"));
    const service = stack.use(await ServiceAddress.open(node, api.url));
    const cluster = new Cluster(api, node, service, listRails(vfs));
    stack.defer(() => cluster.control.stop());
    cluster.#way = stack.use(await WayToKubelets.open(api, node));
    stack.defer(() => cluster.#endFallBack());
    await cluster.#bringUp();
    stack.move();
    return cluster;
  }

  async stop(): Promise<void> {
    this.#endFallBack();
    this.service.down();
    this.#way?.[Symbol.dispose]();
    await this.control.stop();
    await this.node.stop();
    await this.api.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Waits until the node is Ready and a pod can be made in namespace `default`. */
  async ready(): Promise<void> {
    await untilReady(this, 120_000, 100);
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
