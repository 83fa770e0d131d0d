import { codeOf } from "../../kernel/errno.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { listRdmaDevices, moveRdmaDevice, type RdmaDevice, renameRdmaDevice } from "../../kernel/rdma.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { rdmaCharDevicesOf, rdmaDeviceBehind, rdmaDevicesOf } from "../../kernel/sysfs.ts";

/** Where RDMA devices are listed and moved; the kernel's implementation is in `rdma.ts`. */
export interface RdmaKernel {
  /** The host's network namespace. */
  readonly home: Fd;
  /**
   * Works with a namespace's RDMA devices; default: the host's. Everything must run inside: the kernel looks at the namespace
   * of the calling thread, not of the socket (`rdma_dev_change_netns`, drivers/infiniband/core/device.c), else `ENODEV`.
   */
  within<T>(netns: Fd | undefined, work: (rdma: NetlinkConnection) => T): T;
}

/** The RDMA devices of a VF, wherever they are. An index is valid in all namespaces, a name only in its own. */
export interface RdmaOfVf {
  readonly names: readonly string[];
  /** As `names`; absent in records of older versions, and in those converted from other plugins'. */
  readonly indices?: readonly number[];
}

/** How many RDMA devices a VF has, in any namespace: their character devices are not namespaced. */
export const countRdma = (sysfs: string, pci: string): number =>
  rdmaCharDevicesOf(sysfs, pci).filter((name) => name.startsWith("uverbs")).length;

/** Those that are at home; undefined while one of the VF's is elsewhere, or is just being renamed. */
export function rdmaAtHome(sysfs: string, pci: string, kernel: RdmaKernel): readonly RdmaDevice[] | undefined {
  const names = rdmaDevicesOf(sysfs, pci);
  if (names.length < countRdma(sysfs, pci)) return undefined;
  const devices = kernel.within(undefined, listRdmaDevices).filter(({ name }) => names.includes(name));
  return devices.length === names.length ? devices : undefined;
}

/** A name that no other device has. */
const spareName = (pci: string): string => `vf${pci.replaceAll(/[:.]/g, "")}`;

/**
 * Moves devices into a pod, under their names unless the pod already has that name: since 7.3 names are per namespace.
 *
 * @returns those that moved, as the pod now has them.
 * @throws {NetlinkError} when the kernel refuses; a device that is no longer at home is skipped.
 */
export function moveIn(devices: readonly RdmaDevice[], netns: Fd, pci: string, kernel: RdmaKernel): RdmaDevice[] {
  const moved = devices.flatMap(({ index, name }) => {
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
  return moved.length === 0 ? moved : asNamed(moved, kernel.within(netns, listRdmaDevices));
}

/** Devices move by index: one that was renamed since it was looked for goes along, and is known by its new name from then on. */
const asNamed = (moved: readonly RdmaDevice[], there: readonly RdmaDevice[]): RdmaDevice[] =>
  moved.map((one) => there.find(({ index }) => index === one.index) ?? one);

/**
 * Brings a VF's devices home from a pod, under their own names unless another device has taken the name meanwhile. Devices
 * found at home under another name (a dying namespace gives back `ibdev7`) are renamed. Idempotent.
 *
 * @param netns the pod's; undefined when it is gone.
 * @returns whether all known devices are at home.
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
  const known = behind.length > 0 ? behind : vf.names; // without recorded indices: by its current name
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

/** Devices that no longer exist, because their driver went or made others, are not owed. */
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
 * Where the kernel accepts both, one request sets name and namespace; an older kernel then only renames, and the second
 * request moves. There names are unique on the whole node, so a name that the host lacks is free in the pod, too.
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
