import { setTimeout as sleep } from "node:timers/promises";
import { Debts } from "../../cni/attachment/debts.ts";
import { Journal } from "../../cni/attachment/journal.ts";
import { lockRdma } from "../../cni/attachment/lock-rdma.ts";
import { promiseRdma } from "../../cni/attachment/rdma-promise.ts";
import { readBootId } from "../../cni/boot-id.ts";
import type { Log, Paths } from "../../cni/host.ts";
import { vfsOf } from "../../kernel/sysfs.ts";
import type { HostUses } from "../kernel-thread.ts";
import { repeat } from "../loop.ts";
import type { RailHere } from "../rails/select.ts";
import type { RailSets } from "../rails/sets.ts";
import { deviceInfoDirOf } from "./device-info.ts";
import { Resources } from "./resources.ts";
import { tenantsOf } from "./tenants.ts";

export interface DevicePluginOptions {
  /** The kubelet's, `/var/lib/kubelet/device-plugins`; it need not exist. */
  readonly directory: string;
  readonly rails: () => readonly RailHere[];
  /** VFs that are offered together. */
  readonly sets: () => RailSets | undefined;
  readonly hostUses: (vfs: readonly string[]) => Promise<HostUses>;
  readonly paths: Paths;
  /** How long a problem of a PF must last before its VFs are unhealthy. */
  readonly graceMs: number;
  readonly log: Log;
}

export interface DevicePlugin {
  stop(): Promise<void>;
}

/** Between two looks at the kubelet's socket: polled, since watches sometimes miss a new one. */
const KUBELET_MS = 1_000;
/** Between two looks at VFs, each of which takes some hundred reads of sysfs. */
const VFS_MS = 5_000;

/** Offers the VFs of every rail to the kubelet, from now until stop(). */
export function startDevicePlugin({
  directory,
  rails,
  sets,
  hostUses,
  paths,
  graceMs,
  log,
}: DevicePluginOptions): DevicePlugin {
  const { sysfs, stateDir, runDir } = paths;
  const stopping = new AbortController();
  const deviceInfoDir = deviceInfoDirOf(paths);
  const rdma = {
    lock: () => lockRdma("ALLOCATE", { paths }).catch(() => undefined), // ADD checks again
    promise: (vf: string, devices: readonly string[]) => promiseRdma(runDir, vf, devices),
  };
  const nowMs = () => performance.now();
  const resources = new Resources({
    directory,
    deviceInfoDir,
    sysfs,
    runDir,
    rdma,
    tenants: tenantsOf({ paths, bootId: readBootId() }),
    graceMs,
    log,
    nowMs,
  });
  const uses = new KnownUses(hostUses);
  let nextMs = 0;
  let known: ReadonlySet<string> = new Set();
  let inSets: ReadonlySet<string> | undefined;
  const look = async () => {
    const owed = new Debts(stateDir).devices();
    const isNews = owed.symmetricDifference(known).size > 0;
    if (isNews || performance.now() >= nextMs) {
      known = owed;
      const journal = new Journal(stateDir);
      const attached = journal.devices();
      const { count, rails: names } = sets() ?? { count: 0, rails: [] };
      inSets = count > 0 || inSets?.size !== 0 ? journal.devicesInSets() : inSets; // records are read only if there are sets
      await uses.look(rails().flatMap(({ pf }) => vfsOf(sysfs, pf.pci).filter((vf) => !attached.has(vf))));
      await resources.look(rails(), attached, owed, uses.known, { count, rails: names, inSets });
      nextMs = performance.now() + VFS_MS;
    }
    await resources.register();
  };
  const looking = repeat("device plugin", { everyMs: KUBELET_MS, signal: stopping.signal, log }, look);
  return {
    async stop() {
      stopping.abort();
      await looking;
      await resources.close();
    },
  };
}

/** A kernel thread that is stuck answers late: until then the last answer is used. */
const PATIENCE_MS = 1_000;

/** How the host uses free VFs, as far as the kernel thread has said. */
class KnownUses {
  readonly #ask: (vfs: readonly string[]) => Promise<HostUses>;
  #asking: Promise<void> | undefined;
  known: HostUses = {};

  constructor(ask: (vfs: readonly string[]) => Promise<HostUses>) {
    this.#ask = ask;
  }

  async look(vfs: readonly string[]): Promise<void> {
    this.#asking ??= this.#hear(vfs);
    await Promise.race([this.#asking, sleep(PATIENCE_MS, undefined, { ref: false })]);
  }

  async #hear(vfs: readonly string[]): Promise<void> {
    try {
      this.known = await this.#ask(vfs);
    } catch {
      // it is asked again
    } finally {
      this.#asking = undefined;
    }
  }
}
