import { isDeepStrictEqual } from "node:util";
import { ApiServer } from "../../../../lab/cluster/api-server.ts";
import { installAdmission, installRailObjects } from "../../../../lab/cluster/install.ts";
import type { Json } from "../../../../lab/cluster/raw.ts";
import { setUpClusterNetwork } from "../../../../lab/kubelet/cluster-network.ts";
import type { RailPlace } from "../../../../lab/kubelet/computer.ts";
import { Containerd } from "../../../../lab/kubelet/containerd.ts";
import { ControlPlane } from "../../../../lab/kubelet/control-plane.ts";
import { makeImage, PAUSE } from "../../../../lab/kubelet/image.ts";
import { Kubelet } from "../../../../lab/kubelet/kubelet.ts";
import { Multus } from "../../../../lab/kubelet/multus.ts";
import { Pods } from "../../../../lab/kubelet/pods.ts";
import { Railnet } from "../../../../lab/kubelet/railnet.ts";
import type { Rail } from "../../../../lab/kubelet/rails.ts";
import { untilReady } from "../../../../lab/kubelet/ready.ts";
import { until } from "../../../../lab/until.ts";
import { Guest } from "./guest.ts";
import { OFFERED, RAILS_CONFIG, readRails, VFS } from "./rails.ts";

/** Of a machine whose processor is emulated, beside others. */
const READY_MS = 600_000;
/** Looking costs the emulated machine time too. */
const LOOK_MS = 500;

/** Of the kubelet: a status costs the emulated processor a second, and six sandboxes at once take it more than two minutes when it is shared. */
const PATIENT = { nodeStatusUpdateFrequency: "10s", runtimeRequestTimeout: "10m" };

/** A real cluster whose control plane runs here, and whose one node is a test machine with four PFs. */
export class Worker implements RailPlace, AsyncDisposable {
  readonly api: ApiServer;
  readonly node: Guest;
  readonly containerd: Containerd;
  readonly kubelet: Kubelet;
  readonly control: ControlPlane;
  readonly pods: Pods;
  #rails: readonly Rail[] = [];
  #multus: Multus | undefined;
  #railnet: Railnet | undefined;

  private constructor(api: ApiServer, node: Guest) {
    this.api = api;
    this.node = node;
    this.containerd = new Containerd(node);
    this.kubelet = new Kubelet(node, api, PATIENT);
    this.pods = new Pods(api.raw, { limitMs: READY_MS, everyMs: LOOK_MS });
    this.control = new ControlPlane(api);
  }

  /**
   * Multus runs as a daemon: an executable that connects anew with each call does not, under emulation, get its pod within
   * the quarter of a second that it has for that.
   *
   * @throws {Error} that says what did not come up.
   */
  static async start(): Promise<Worker> {
    await using stack = new AsyncDisposableStack();
    const api = stack.use(await ApiServer.start({ nodes: true }));
    const node = stack.use(await Guest.start("worker", api.url));
    const worker = new Worker(api, node);
    stack.defer(() => worker.control.stop());
    await setUpClusterNetwork(node);
    await worker.containerd.start();
    await worker.containerd.load(makeImage(node.folder, PAUSE));
    await worker.kubelet.start();
    await worker.ready();
    worker.#multus = await Multus.start(worker, "process");
    await installRailObjects(api.raw);
    await installAdmission(api);
    worker.#railnet = await Railnet.install(worker, RAILS_CONFIG);
    await worker.offered();
    stack.move();
    return worker;
  }

  /** Since the node was switched on. */
  get rails(): readonly Rail[] {
    return this.#rails;
  }

  async stop(): Promise<void> {
    await this.control.stop();
    await this.node.stop();
    await this.api.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Waits until pods can be made on the node. */
  async ready(): Promise<void> {
    await untilReady(this, READY_MS, LOOK_MS);
  }

  /** Waits until the VFs are made, as long as no pod can have one, and offered. The API may show those of another boot. */
  async offered(): Promise<void> {
    const isMade = async () => {
      this.#rails = await readRails(this.node);
      return this.#rails.every(({ vfs }) => vfs.length === VFS);
    };
    await until("the VFs are made", isMade, { limitMs: READY_MS, everyMs: LOOK_MS });
    const isOffered = async () => isDeepStrictEqual(await this.allocatable(), OFFERED);
    await until("all VFs are offered", isOffered, { limitMs: READY_MS, everyMs: LOOK_MS });
  }

  /** `{ "railnet.io/rail0": "6", … }`: what the node offers to pods. Of a resource that it had once the kubelet says 0. */
  async allocatable(): Promise<Json> {
    const { status } = await this.api.raw.get(`/api/v1/nodes/${this.node.name}`);
    const ours = Object.entries(status.allocatable).filter(([name, n]) => name.startsWith("railnet.io/") && n !== "0");
    return Object.fromEntries(ours);
  }

  /**
   * Cuts the power, switches the node on again, and starts what it starts but Multus: no pod gets a VF yet.
   *
   * What ext4 does every 5 seconds is done first: the runtime does not sync libcni's results, and a sandbox whose result is torn it
   * never ends (`decoding version from network config: unexpected end of JSON input`).
   */
  async cutPower(): Promise<void> {
    await this.node.exec(["sync"]);
    await this.node.cutPower();
    await this.node.boot();
    await this.containerd.start();
    await this.kubelet.start();
    await this.#railnet!.startAgent();
    await this.offered();
  }

  async startMultus(): Promise<void> {
    await this.#multus!.startDaemon();
  }
}
