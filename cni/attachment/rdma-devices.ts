import { codeOf } from "../../kernel/errno.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { listRdmaDevices, moveRdmaDevice, type RdmaDevice, renameRdmaDevice } from "../../kernel/rdma.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { rdmaCharDevicesOf, rdmaDeviceBehind, rdmaDevicesOf } from "../../kernel/sysfs.ts";

/** Where RDMA devices are asked for and moved; the kernel's is in `rdma.ts`. */
export interface RdmaKernel {
  /** The host's network namespace. */
  readonly home: Fd;
  /**
   * Work with a namespace's RDMA devices; default: the host's. All of it in there: the kernel looks at the namespace of the
   * calling thread, not of the socket (`rdma_dev_change_netns`, drivers/infiniband/core/device.c), else `ENODEV`.
   */
  within<T>(netns: Fd | undefined, work: (rdma: NetlinkConnection) => T): T;
}

/** The RDMA devices that belong to a VF, wherever they are. `index` is one for all namespaces, a name only for its own. */
export interface RdmaOfVf {
  readonly names: readonly string[];
  /** As `names`; absent in records of older versions, and in those of other plugins. */
  readonly indices?: readonly number[];
}

/** How many RDMA devices a VF has, in whatever namespace: their character devices know none. */
export const countRdma = (sysfs: string, pci: string): number =>
  rdmaCharDevicesOf(sysfs, pci).filter((name) => name.startsWith("uverbs")).length;

/** Those that are at home; undefined while one of the VF's is elsewhere, or just gets another name. */
export function rdmaAtHome(sysfs: string, pci: string, kernel: RdmaKernel): readonly RdmaDevice[] | undefined {
  const names = rdmaDevicesOf(sysfs, pci);
  if (names.length < countRdma(sysfs, pci)) return undefined;
  const devices = kernel.within(undefined, listRdmaDevices).filter(({ name }) => names.includes(name));
  return devices.length === names.length ? devices : undefined;
}

/** A name that no other device has. */
const spareName = (pci: string): string => `vf${pci.replaceAll(/[:.]/g, "")}`;

/**
 * Moves devices into a pod, under their names unless the pod has one of that name: since 7.3 names are a namespace's.
 *
 * @returns those that moved, as the pod now has them.
 * @throws {NetlinkError} when the kernel refuses; a device that is not at home any more is left out.
 */
export function moveIn(devices: readonly RdmaDevice[], netns: Fd, pci: string, kernel: RdmaKernel): RdmaDevice[] {
  return devices.flatMap(({ index, name }) => {
    const move = (as?: string) =>
      kernel.within(undefined, (rdma) => {
        rdma.request(moveRdmaDevice(index, netns, `move RDMA device ${name}`, as));
        return [{ index, name: as ?? name }];
      });
    try {
      return move();
    } catch (error) {
      if (codeOf(error) === "EEXIST") return move(spareName(pci));
      if (["ENODEV", "EINVAL"].includes(codeOf(error) ?? "")) return [];
      throw error;
    }
  });
}

/**
 * Brings a VF's devices home from a pod, under their own names unless another device has taken one there meanwhile. What
 * it finds at home under another name (a namespace that died gives `ibdev7` back) gets its own. Idempotent.
 *
 * @param netns the pod's; undefined when it is gone.
 * @returns whether all that are known are at home.
 * @throws {NetlinkError} when the kernel refuses.
 */
export function bringRdmaHome(
  vf: RdmaOfVf,
  pci: string,
  netns: Fd | undefined,
  sysfs: string,
  kernel: RdmaKernel,
): boolean {
  const behind = rdmaCharDevicesOf(sysfs, pci).flatMap((name) => rdmaDeviceBehind(sysfs, pci, name) ?? []);
  const known = behind.length > 0 ? behind : vf.names; // of a record without indices: what it is called now
  const nameOf = ({ index, name }: RdmaDevice): string | undefined => {
    if (vf.indices) return vf.names[vf.indices.indexOf(index)];
    return known.includes(name) ? (vf.names.find((own) => own === name) ?? vf.names[0]) : undefined;
  };
  const away = netns ? kernel.within(netns, listRdmaDevices) : [];
  for (const device of away) {
    const own = nameOf(device);
    if (own !== undefined) sendHome(device, nameAtHome(own, device, pci, kernel), netns!, kernel);
  }
  const home = kernel.within(undefined, listRdmaDevices);
  for (const device of vf.indices ? home : []) {
    const own = nameOf(device);
    if (own !== undefined) giveName(device, nameAtHome(own, device, pci, kernel), kernel);
  }
  return !vf.indices || isHome(vf.indices, home, sysfs, pci);
}

/** Devices that are no more, because their driver went or made others, are not owed. */
function isHome(indices: readonly number[], home: readonly RdmaDevice[], sysfs: string, pci: string): boolean {
  if (indices.every((index) => home.some((device) => device.index === index))) return true;
  return countRdma(sysfs, pci) <= rdmaDevicesOf(sysfs, pci).length;
}

/** Its own name, if no other device of the host has that. */
function nameAtHome(own: string, { index }: RdmaDevice, pci: string, kernel: RdmaKernel): string {
  const others = kernel.within(undefined, listRdmaDevices).filter((device) => device.index !== index);
  return others.some(({ name }) => name === own) ? spareName(pci) : own;
}

/**
 * One request gives name and namespace, where the kernel takes both; an older one then only gives the name, and the second
 * request moves. There names are the whole node's, so what the host lacks is free in the pod, too.
 */
function sendHome({ index, name }: RdmaDevice, as: string, netns: Fd, kernel: RdmaKernel): void {
  kernel.within(netns, (pod) => {
    const what = `move RDMA device ${name} home as ${as}`;
    if (name !== as) pod.request(moveRdmaDevice(index, kernel.home, what, as));
    const isStillThere = listRdmaDevices(pod).some((device) => device.index === index);
    if (isStillThere) pod.request(moveRdmaDevice(index, kernel.home, what));
  });
}

function giveName({ index, name }: RdmaDevice, own: string, kernel: RdmaKernel): void {
  if (name !== own) kernel.within(undefined, (rdma) => rdma.request(renameRdmaDevice(index, own)));
}
