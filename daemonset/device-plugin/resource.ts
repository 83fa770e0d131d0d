import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { Log } from "../../cni/host.ts";
import { exists, rdmaCharDevicesOf } from "../../kernel/sysfs.ts";
import { allocation, rdmaOf } from "./allocate.ts";
import {
  AllocateRequest,
  AllocateResponse,
  DevicePluginOptions,
  Empty,
  ListAndWatchResponse,
  METHODS,
  type PluginDevice,
  PreferredAllocationRequest,
  PreferredAllocationResponse,
  PreStartContainerRequest,
  REGISTER,
  RegisterRequest,
  VERSION,
} from "./api.ts";
import { writeDeviceInfoOf } from "./device-info.ts";
import { call } from "./grpc/client.ts";
import { GrpcError, STATUS } from "./grpc/frame.ts";
import { type GrpcServer, type ResponseStream, serve } from "./grpc/server.ts";
import { judge, type Since } from "./health.ts";
import { prefer } from "./prefer.ts";
import type { Sight } from "./sight.ts";
import type { Tenants } from "./tenants.ts";

/** Numbers of RDMA character devices, which the kernel reassigns at every move of an RDMA device. */
export interface RdmaNumbers {
  /** Keeps them stable until disposed; waits for that, for a limited time. */
  lock(): Promise<Disposable | undefined>;
  /** Remembers for ADD what a pod gets with a VF. */
  promise(vf: string, devices: readonly string[]): void;
}

export interface ResourceHost {
  /** Directory of the kubelet's socket and ours: `/var/lib/kubelet/device-plugins`. */
  readonly directory: string;
  /** `/var/run/k8s.cni.cncf.io/devinfo/dp`. */
  readonly deviceInfoDir: string;
  readonly sysfs: string;
  /** Where ADD tells pods of their rails: `/run/railnet`. */
  readonly runDir: string;
  readonly rdma: RdmaNumbers;
  readonly tenants: Tenants;
  /** A problem of a PF must last so long before its VFs are unhealthy. */
  readonly graceMs: number;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly log: Log;
}

/** The names of a resource. */
export interface ResourceNames {
  /** `railnet.io/rail0`. */
  readonly resource: string;
  /** For logs: the rail's name; for sets, their rails'. */
  readonly rail: string;
  /** Name of its socket. */
  readonly file: string;
}

/** The kubelet dials back before it answers. */
const REGISTER_MS = 10_000;
/** A kubelet that accepted the registration but has not connected after this time has lost it. */
const DEAF_MS = 5_000;

/** One rail, or the sets of all, as a resource of the kubelet: its socket, its list of devices, and whether the kubelet knows it. */
export class PluginResource {
  readonly #host: ResourceHost;
  readonly name: string;
  readonly socket: string;
  readonly #rail: string;
  #sights: readonly Sight[] = [];
  #since: Since = new Map();
  #list: readonly PluginDevice[] = [];
  #reasons = "{}";
  #server: GrpcServer | undefined;
  /** Calls of ListAndWatch. */
  readonly #listeners = new Set<ResponseStream>();
  /** Whether the kubelet is to ask before a container starts. Only where it has to: without an agent no container starts then. */
  #asksFirst = false;
  /** What the kubelet was told of that. */
  #toldToAsk = false;
  /** The kubelet's socket that took our registration, and since when nobody listens. */
  #known = "";
  #deafSinceMs = 0;

  constructor({ resource, rail, file }: ResourceNames, host: ResourceHost) {
    this.#host = host;
    this.name = resource;
    this.#rail = rail;
    this.socket = join(host.directory, file);
  }

  /** What it was of, as of the last look. */
  get sights(): readonly Sight[] {
    return this.#sights;
  }

  /** IDs of the devices as the kubelet has them. */
  get listed(): readonly string[] {
    return this.#list.map(({ ID }) => ID);
  }

  /** Sets what there is now; the kubelet is told if its list changed. */
  show(sights: readonly Sight[]): void {
    const { graceMs, nowMs, tenants } = this.#host;
    this.#sights = sights;
    this.#asksFirst = this.#hasRdma() && tenants.governs(this.name);
    const { devices, since, reasons } = judge(this.#sights, this.#since, nowMs(), graceMs);
    this.#since = since;
    this.#report(JSON.stringify(reasons));
    if (JSON.stringify(devices) === JSON.stringify(this.#list)) return;
    this.#list = devices;
    for (const listener of this.#listeners) listener.send(ListAndWatchResponse.encode({ devices }));
  }

  /**
   * Makes sure that this kubelet knows the resource and can reach it, once there are VFs. Idempotent.
   *
   * @param kubelet identifies its kubelet.sock: another one is another kubelet, which has forgotten us.
   * @throws {Error} when it does not accept the registration; the caller tries again.
   */
  async ensureRegistered(kubelet: string): Promise<void> {
    const { directory, nowMs, log } = this.#host;
    if (!this.#server && this.#list.length === 0) return;
    if (this.#asksFirst !== this.#toldToAsk) await this.close(); // kubelet 1.37 takes no second registration of a socket before
    const isDeaf = this.#listeners.size === 0 && nowMs() - this.#deafSinceMs > DEAF_MS;
    if (kubelet === this.#known && existsSync(this.socket) && !isDeaf) return;
    if (!this.#server || !existsSync(this.socket)) await this.#serve();
    const request = {
      version: VERSION,
      endpoint: basename(this.socket),
      resource_name: this.name,
      options: this.#options,
    };
    this.#toldToAsk = this.#asksFirst;
    this.#deafSinceMs = nowMs();
    await call(join(directory, "kubelet.sock"), REGISTER, RegisterRequest.encode(request), REGISTER_MS);
    this.#known = kubelet;
    log.info({ resource: this.name, devices: this.#list.length }, "registered with the kubelet");
  }

  /** To the kubelet the plugin has stopped: running pods keep their VFs. */
  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
    this.#known = "";
  }

  async #serve(): Promise<void> {
    await this.close(); // a kubelet that starts removes all sockets
    this.#server = await serve(this.socket, {
      unary: {
        [METHODS.options]: () => DevicePluginOptions.encode(this.#options),
        [METHODS.preStart]: (request) => this.#preStart(request),
        [METHODS.prefer]: (request) => this.#prefer(request),
        [METHODS.allocate]: (request) => this.#allocate(request),
      },
      streams: { [METHODS.listAndWatch]: (listener) => this.#listen(listener) },
    });
  }

  #listen(listener: ResponseStream): void {
    this.#listeners.add(listener);
    listener.onClose(() => {
      this.#listeners.delete(listener);
      this.#deafSinceMs = this.#host.nowMs();
    });
    listener.send(ListAndWatchResponse.encode({ devices: this.#list }));
  }

  #prefer(bytes: Buffer): Buffer {
    const { container_requests } = PreferredAllocationRequest.decode(bytes);
    const container_responses = container_requests.map((one) => ({ deviceIDs: prefer(one, this.#sights) }));
    return PreferredAllocationResponse.encode({ container_responses });
  }

  async #allocate(bytes: Buffer): Promise<Buffer> {
    const { container_requests } = AllocateRequest.decode(bytes);
    using _lock = this.#hasRdma() ? await this.#host.rdma.lock() : undefined;
    return AllocateResponse.encode({
      container_responses: container_requests.map(({ devices_ids = [] }) => this.#allocateOne(devices_ids)),
    });
  }

  #hasRdma(): boolean {
    return this.#sights.some(({ vfs }) => vfs.some(({ pci }) => rdmaCharDevicesOf(this.#host.sysfs, pci).length > 0));
  }

  get #options(): Parameters<typeof DevicePluginOptions.encode>[0] {
    return { pre_start_required: this.#asksFirst, get_preferred_allocation_available: true };
  }

  /** @throws {GrpcError} the kubelet then does not start the container, says why in an event, and tries again. */
  #preStart(bytes: Buffer): Buffer {
    const { devices_ids: ids = [] } = PreStartContainerRequest.decode(bytes);
    const why = this.#asksFirst ? this.#host.tenants.whyNotStart(ids, this.name) : undefined;
    if (why === undefined) return Empty.encode({});
    this.#host.log.warn({ resource: this.name, vfs: ids, why }, "a container was not started with VFs");
    throw new GrpcError(STATUS.PERMISSION_DENIED, why);
  }

  /** @throws {GrpcError} for a device that is not of this resource or not there: the kubelet then refuses the pod. */
  #allocateOne(ids: readonly string[]) {
    const { sysfs, runDir, rdma: numbers, log } = this.#host;
    const given = ids.flatMap((id) => this.#sightOf(id).vfs);
    const gone = given.find(({ pci }) => !exists(sysfs, pci));
    if (gone) throw new GrpcError(STATUS.FAILED_PRECONDITION, `cannot allocate ${gone.pci}: it is not on the PCI bus`);
    const vfs = given.map(({ pci, pf }) => ({ pci, pf, rdma: rdmaOf(sysfs, pci) }));
    for (const { pci, pf, rdma } of vfs) {
      this.#writeDeviceInfo(pci, pf, rdma?.rdma_dev);
      if (rdma) numbers.promise(pci, rdmaCharDevicesOf(sysfs, pci).sort());
    }
    log.info({ resource: this.name, vfs: ids }, "allocated");
    return allocation(this.name, vfs, runDir);
  }

  #sightOf(id: string): Sight {
    const found = this.#sights.find((one) => one.id === id);
    if (!found) throw new GrpcError(STATUS.NOT_FOUND, `cannot allocate ${id}: it is not a VF of rail ${this.#rail}`);
    if (found.vfs.length > 0) return found;
    throw new GrpcError(STATUS.FAILED_PRECONDITION, `cannot allocate ${id}: ${found.problem}`);
  }

  /** Only a note for Multus depends on it; Multus is told no names of a set's VFs, since it would show one of them for all. */
  #writeDeviceInfo(vf: string, pf: string, rdmaDevice: string | undefined): void {
    const { deviceInfoDir, log } = this.#host;
    try {
      writeDeviceInfoOf(deviceInfoDir, this.name, vf, pf, rdmaDevice);
    } catch (err) {
      log.warn({ err, vf, deviceInfoDir }, "cannot write the device-info file of a VF");
    }
  }

  #report(reasons: string): void {
    if (reasons === this.#reasons) return;
    this.#reasons = reasons;
    const fields = { resource: this.name, rail: this.#rail };
    if (reasons === "{}") this.#host.log.info(fields, "all VFs of a rail are healthy");
    else this.#host.log.warn({ ...fields, unhealthy: JSON.parse(reasons) }, "VFs of a rail are unhealthy");
  }
}
