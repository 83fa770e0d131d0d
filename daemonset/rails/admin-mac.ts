import { traitsOf } from "../../cni/attachment/drivers.ts";
import { NO_MAC } from "../../cni/attachment/mac.ts";
import type { Log } from "../../cni/host.ts";
import { driverOf, isForUserspace, nodeGuidsOf, vfsOf } from "../../kernel/sysfs.ts";
import type { CarryOut, RailOrder } from "./orders.ts";
import type { PfFacts } from "./select.ts";

/** The edges: where VFs get their MACs. */
export interface MacHost {
  readonly sysfs: string;
  readonly carryOut: CarryOut;
  /** Unbinds the VF's driver, binds it again, and waits for its link. */
  readonly rebind: (vf: string) => Promise<void>;
  readonly userOf: (vf: string) => Promise<string | undefined>;
  readonly lock: (vf: string) => Disposable | undefined;
  readonly log: Log;
  /** Monotonic. */
  readonly nowMs: () => number;
}

type GiveOwnMac = Extract<RailOrder, { do: "give-own-mac" }>;

/** The same VFs are looked at again after this time. */
const RETRY_MS = 60_000;

/** What mlx5 derives from no MAC, and what a VF has whose PF was never told one. */
const NO_GUID = ["0000:0000:0000:0000", "0000:00ff:fe00:0000"];

/** Whether a VF has an RDMA device that nobody can address (`rdma_cm` fails, applications crash). */
export const lacksNodeGuid = (sysfs: string, vf: string): boolean =>
  nodeGuidsOf(sysfs, vf).some((guid) => NO_GUID.includes(guid));

/**
 * VFs of drivers that derive the RDMA node GUID from the administrative MAC (mlx5) come without either: each gets its own
 * MAC as the administrative one, and is rebound, since the driver reads the GUID only then. Done while nobody has the VF;
 * VFs in use are left until later.
 */
export class AdminMacs {
  readonly #host: MacHost;
  /** VFs that have one, so that the PF, which asks its firmware for each, is asked once. */
  readonly #have = new Set<string>();

  /** The last result for a PF whose VFs do not all have one. */
  readonly #last = new Map<string, { readonly key: string; readonly atMs: number; readonly left: string[] }>();

  constructor(host: MacHost) {
    this.#host = host;
  }

  /** @returns a sentence for each VF that still has none. */
  async give(pf: PfFacts): Promise<string[]> {
    const { sysfs, carryOut, nowMs } = this.#host;
    const { pci, name: netdev } = pf;
    if (netdev === undefined || !traitsOf(pf.driver).needsAdminMac) return [];
    const vfs = vfsOf(sysfs, pf.pci).map((vf, index) => ({ vf, index }));
    for (const { vf } of vfs) if (lacksNodeGuid(sysfs, vf)) this.#have.delete(vf);
    const unsure = vfs.filter(({ vf }) => !this.#have.has(vf));
    if (unsure.length === 0) return [];
    const key = unsure.map(({ vf }) => vf).join();
    const last = this.#last.get(pf.pci);
    if (last?.key === key && nowMs() - last.atMs < RETRY_MS) return last.left;
    const macs = await carryOut({ do: "list-admin-macs", pf: pci, netdev });
    const left: string[] = [];
    for (const { vf, index } of unsure)
      left.push(...(await this.#look({ do: "give-own-mac", pf: pci, netdev, index, vf }, macs.get(index))));
    this.#last.set(pf.pci, { key, atMs: nowMs(), left });
    return left;
  }

  /** The VFs of a PF were created again. */
  forget(pf: PfFacts): void {
    for (const vf of vfsOf(this.#host.sysfs, pf.pci)) this.#have.delete(vf);
    this.#last.delete(pf.pci);
  }

  async #look(order: GiveOwnMac, mac: string | undefined): Promise<string[]> {
    const { sysfs } = this.#host;
    const { vf } = order;
    const hasMac = mac !== undefined && mac !== NO_MAC;
    if (!lacksNodeGuid(sysfs, vf)) {
      if (hasMac) this.#have.add(vf);
      if (hasMac || mac === undefined) return []; // undefined: hidden at the moment, or beyond the list
    }
    try {
      return await this.#giveOne(order, hasMac);
    } catch (error) {
      return [`VF ${vf}: ${(error as Error).message}`];
    }
  }

  async #giveOne(order: GiveOwnMac, hasMac: boolean): Promise<string[]> {
    const { lock, userOf, carryOut, rebind, log, sysfs } = this.#host;
    const { vf } = order;
    using held = lock(vf);
    const user = held ? await userOf(vf) : `VF ${vf} is being attached or detached`;
    if (user) return [user];
    if (!driverOf(sysfs, vf) || isForUserspace(sysfs, vf)) return [];
    if (!hasMac) await carryOut(order);
    await rebind(vf);
    this.#have.add(vf);
    log.info({ pf: order.netdev, vf }, "a new VF has its MAC and node GUID");
    return [];
  }
}
