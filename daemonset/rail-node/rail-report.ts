import { carrierChangesOf, ecnOf, modelOf, nearestGpus, pcieLinkOf, pcieRootOf } from "../../kernel/pcie.ts";
import { driverOf, hasCarrier, numaNodeOf, rdmaDevicesOf, totalVfsOf, vfsOf } from "../../kernel/sysfs.ts";
import type { OnRecord } from "../inventory/vfs.ts";
import type { RailHere } from "../rails/select.ts";
import { isIn } from "../rails/vf-range.ts";
import type { KernelFacts } from "./kernel-facts.ts";
import type { RailReport } from "./object.ts";

/** What hardly ever changes about a rail: a few dozen small files of sysfs, and the kernel thread's answers. */
export type RailFacts = Omit<RailReport, "vfs" | "used" | "owed" | "carrier" | "carrierChanges">;

/** The definition refuses more. */
const MAX_ADDRESSES = 64;

/** Reads sysfs. @param gpus of the node. */
export function railFacts(
  { rail, pf }: RailHere,
  kernel: KernelFacts,
  sysfs: string,
  gpus: readonly string[],
): RailFacts {
  const { firmware, mac, addresses, mtu, speed, trust, pfc } = kernel;
  const ecn = pf.name === undefined ? undefined : ecnOf(sysfs, pf.name);
  const qos = {
    ...(trust !== undefined && { trust }),
    ...(pfc !== undefined && { pfc }),
    ...(ecn !== undefined && { ecn }),
  };
  return {
    name: rail.name,
    pf: pf.name ?? "",
    pci: pf.pci,
    ...known({
      model: modelOf(sysfs, pf.pci),
      driver: driverOf(sysfs, pf.pci),
      firmware,
      mac,
      addresses: filled((addresses ?? []).slice(0, MAX_ADDRESSES)),
      mtu,
      speed,
      pcie: pcieLinkOf(sysfs, pf.pci),
      pcieRoot: pcieRootOf(sysfs, pf.pci),
      numaNode: numaNodeOf(sysfs, pf.pci),
      gpus: filled(nearestGpus(sysfs, pf.pci, gpus)),
      rdmaDevices: filled(rdmaDevicesOf(sysfs, pf.pci)),
      qos: Object.keys(qos).length > 0 ? qos : undefined,
    }),
    totalVfs: totalVfsOf(sysfs, pf.pci),
  };
}

/** What changes about a rail with its pods and its cable: a handful of files, none of which waits for a lock. */
export function railUse({ pf, ranges }: RailHere, { used, owed }: OnRecord, sysfs: string) {
  const vfs = vfsOf(sysfs, pf.pci).filter((_, index) => isIn(index, ranges));
  return {
    vfs: vfs.length,
    used: vfs.filter((vf) => used.has(vf)).length,
    owed: vfs.filter((vf) => owed.has(vf)).length,
    carrier: pf.name !== undefined && hasCarrier(sysfs, pf.name),
    carrierChanges: pf.name === undefined ? 0 : carrierChangesOf(sysfs, pf.name),
  };
}

const filled = <T>(list: readonly T[]): readonly T[] | undefined => (list.length > 0 ? list : undefined);

type Known<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without undefined members. */
const known = <T extends object>(all: T): Known<T> =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Known<T>;
