import { until } from "../../../netns/support/run.ts";
import { setUpClusterNetwork } from "../../kubelet/support/cluster-network.ts";
import type { Place } from "../../kubelet/support/computer.ts";
import { Containerd } from "../../kubelet/support/containerd.ts";
import { ControlPlane } from "../../kubelet/support/control-plane.ts";
import { makeImage, PAUSE } from "../../kubelet/support/image.ts";
import { Kubelet } from "../../kubelet/support/kubelet.ts";
import { Multus } from "../../kubelet/support/multus.ts";
import { Pods } from "../../kubelet/support/pods.ts";
import { Railnet } from "../../kubelet/support/railnet.ts";
import { ApiServer } from "../../support/api-server.ts";
import type { Json } from "../../support/raw.ts";
import { Guest } from "./guest.ts";

/** Of a machine whose processor is emulated, beside others. */
const READY_MS = 600_000;
/** Looking costs the emulated machine time too. */
const LOOK_MS = 500;

/** A real cluster whose control plane runs here, and whose one node is a test machine with four PFs. */
export class Worker implements Place, AsyncDisposable {
  readonly api: ApiServer;
  readonly node: Guest;
  readonly containerd: Containerd;
  readonly kubelet: Kubelet;
  readonly pods: Pods;
  readonly #control: ControlPlane;

  private constructor(api: ApiServer, node: Guest) {
    this.api = api;
    this.node = node;
    this.containerd = new Containerd(node);
    this.kubelet = new Kubelet(node, api, { nodeStatusUpdateFrequency: "10s" }); // each costs a second of a processor
    this.pods = new Pods(api.raw, { limitMs: READY_MS, everyMs: LOOK_MS });
    this.#control = new ControlPlane(api);
  }

  /**
   * Multus runs as a daemon: an executable that connects anew with each call does not, under emulation, get its pod within
   * the quarter of a second that it has for that.
   *
   * @param rails Railnet's list of rails.
   * @throws {Error} that says what did not come up.
   */
  static async start(rails: string): Promise<Worker> {
    await using stack = new AsyncDisposableStack();
    const api = stack.use(await ApiServer.start({ nodes: true }));
    const node = stack.use(await Guest.start("worker", api.url));
    const worker = new Worker(api, node);
    stack.defer(() => worker.#control.stop());
    await setUpClusterNetwork(node);
    await worker.containerd.start();
    await worker.containerd.load(makeImage(node.folder, PAUSE));
    await worker.kubelet.start();
    await worker.ready();
    await Multus.start(worker, "process");
    await Railnet.install(worker, rails);
    stack.move();
    return worker;
  }

  async stop(): Promise<void> {
    await this.#control.stop();
    await this.node.stop();
    await this.api.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Waits until the node is Ready and pods can be made on it. */
  async ready(): Promise<void> {
    await until("the worker is ready", async () => {
      const ended = this.#control.broken ?? this.kubelet.ended;
      if (ended) throw new Error(ended);
      const node = await this.object();
      const isReady = node?.status?.conditions?.some(({ type, status }: Json) => type === "Ready" && status === "True");
      return isReady && !node.spec.taints;
    }, READY_MS, LOOK_MS); // biome-ignore format: one condition
  }

  /** The Node. */
  async object(): Promise<Json | undefined> {
    const { status, body } = await this.api.raw.request("GET", `/api/v1/nodes/${this.node.name}`);
    return status === 200 ? body : undefined;
  }
}
