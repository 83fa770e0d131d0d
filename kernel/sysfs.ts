import { existsSync, readlinkSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { entries, line, read } from "./sysfs-files.ts";

// `root` is where sysfs is mounted: /sys, or a tree made by a test. What does not exist, or vanishes while it is read,
// is undefined, empty or false; nothing here throws.

/** A physical function. */
export interface Pf {
  readonly name: string;
  readonly pci: string;
}

/** A physical function and how many VFs it has. */
export interface PfInfo extends Pf {
  readonly numVfs: number;
}

/** @param pci `0000:af:06.0`; a name that leaves the directory names no device. */
const device = (root: string, pci: string): string =>
  join(root, "bus/pci/devices", /^[\w:.-]*\w$/.test(pci) ? pci : "no such device");

export const exists = (root: string, pci: string): boolean => existsSync(device(root, pci));
export const isVf = (root: string, pci: string): boolean => existsSync(join(device(root, pci), "physfn"));
/** Whether it has SR-IOV, with or without VFs. */
export const isPf = (root: string, pci: string): boolean =>
  existsSync(join(device(root, pci), "sriov_totalvfs")) || existsSync(join(device(root, pci), "sriov_numvfs"));

/** Where a VF was last seen below its PF: one readlink(2) tells whether it is still there, out of a hundred VFs. */
const lastIndex = new Map<string, string>();

/** PF of a VF with the VF's index there; undefined when the PF has no link in this namespace or does not list it. */
export function pfOf(root: string, vfPci: string): (Pf & { readonly vf: number }) | undefined {
  const physfn = join(device(root, vfPci), "physfn");
  const name = linkOf(physfn);
  const isIt = (entry: string) => target(join(physfn, entry)) === vfPci;
  const last = lastIndex.get(vfPci);
  const virtfn = last && isIt(last) ? last : entries(physfn).find((entry) => /^virtfn\d+$/.test(entry) && isIt(entry));
  const pci = read(() => basename(realpathSync(physfn)));
  if (!name || !virtfn || !pci) return undefined;
  lastIndex.set(vfPci, virtfn);
  return { name, pci, vf: Number(virtfn.slice("virtfn".length)) };
}

/** PCI address of a VF's PF; undefined for anything but a VF. */
export const pfPciOf = (root: string, vfPci: string): string | undefined => target(join(device(root, vfPci), "physfn"));

/** Link of a function in the network namespace that this sysfs shows. */
export const netdevOf = (root: string, pci: string): string | undefined => linkOf(device(root, pci));

/** `phys_port_name` of a port, as opposed to the representor of a VF or a subfunction (`__devlink_port_phys_port_name_get`). */
const UPLINK = /^p\d+$/;
const REPRESENTOR = /^(c\d+)?pf\d+(vf\d+|sf\d+|hpf)?$/;

/**
 * A PF in switchdev mode has a link for each of its VFs beside its own, in no particular order. Its own is the port; where
 * the driver names no port, the one that was created first.
 */
function linkOf(dir: string): string | undefined {
  const names = entries(join(dir, "net"));
  if (names.length < 2) return names[0];
  const ports = names.map((name) => ({ name, port: portName(dir, name), index: indexOf(dir, name) }));
  const own = ports.filter(({ port }) => !REPRESENTOR.test(port)).sort((a, b) => a.index - b.index);
  return (own.find(({ port }) => UPLINK.test(port)) ?? own[0])?.name;
}

/** Reading it waits for rtnl, so only for functions with several links. */
const portName = (dir: string, netdev: string): string => line(join(dir, "net", netdev, "phys_port_name")) ?? "";
const indexOf = (dir: string, netdev: string): number => number(join(dir, "net", netdev, "ifindex")) ?? 0;

/** Whether a PF has representors: its VFs' traffic goes wherever these are connected (switchdev mode). */
export function hasRepresentors(root: string, pci: string): boolean {
  const dir = device(root, pci);
  const names = entries(join(dir, "net"));
  return names.length > 1 && names.some((name) => REPRESENTOR.test(portName(dir, name)));
}

/** `ARPHRD_*`: 1 is Ethernet, 32 InfiniBand. */
export const linkTypeOf = (root: string, netdev: string): number | undefined =>
  number(join(root, "class/net", netdev, "type"));

/** Names of the RDMA devices of a function; also empty while they are in another namespace. */
export const rdmaDevicesOf = (root: string, pci: string): string[] => entries(join(device(root, pci), "infiniband"));

export const driverOf = (root: string, pci: string): string | undefined => target(join(device(root, pci), "driver"));

/** Drivers that give a VF to userspace, without a link (sriov-cni `pkg/utils/utils.go`). */
const USERSPACE_DRIVERS = ["vfio-pci", "uio_pci_generic", "igb_uio"];

export const isForUserspace = (root: string, pci: string): boolean =>
  USERSPACE_DRIVERS.includes(driverOf(root, pci) ?? "");

/** How many VFs a PF has now; 0 for anything else. Counted, since reading `sriov_numvfs` blocks for seconds while a driver creates VFs. */
export const numVfsOf = (root: string, pci: string): number =>
  entries(device(root, pci)).filter((name) => /^virtfn\d+$/.test(name)).length;

/** How many VFs the device's firmware allows; 0 when it is configured to have none. */
export const totalVfsOf = (root: string, pci: string): number => number(join(device(root, pci), "sriov_totalvfs")) ?? 0;

/** PCI addresses of a PF's VFs, by index: from 0 without gaps, as the kernel numbers them. */
export function vfsOf(root: string, pfPci: string): string[] {
  const indices = entries(device(root, pfPci)).flatMap((name) => /^virtfn(\d+)$/.exec(name)?.[1] ?? []);
  const inOrder = indices.map(Number).sort((a, b) => a - b);
  return inOrder.flatMap((vf) => target(join(device(root, pfPci), `virtfn${vf}`)) ?? []);
}

/** Whether the kernel looks for a driver when it creates a VF. */
export const probesVfs = (root: string, pfPci: string): boolean =>
  number(join(device(root, pfPci), "sriov_drivers_autoprobe")) !== 0;

/** Four hexadecimal digits: `15b3`. */
export const vendorOf = (root: string, pci: string): string | undefined =>
  /^0x([0-9a-f]{4})$/.exec(line(join(device(root, pci), "vendor")) ?? "")?.[1];

/** Also false when the link is down. From `operstate`, since reading `carrier` waits for rtnl; `unknown`: the driver does not report it. */
export const hasCarrier = (root: string, netdev: string): boolean =>
  ["up", "unknown"].includes(line(join(root, "class/net", netdev, "operstate")) ?? "");

/** The bridge or bond that a link belongs to. */
export const masterOf = (root: string, netdev: string): string | undefined =>
  target(join(root, "class/net", netdev, "master"));

/** Links on top of one: its bridge or bond, and its VLANs, macvlans and the like, in any namespace. */
export const uppersOf = (root: string, netdev: string): string[] =>
  entries(join(root, "class/net", netdev)).flatMap((name) => /^upper_(.+)$/s.exec(name)?.[1] ?? []);

/** The group of devices that a userspace driver opens together: `/dev/vfio/42`. */
export const iommuGroupOf = (root: string, pci: string): string | undefined =>
  target(join(device(root, pci), "iommu_group"));

/** Whether a port of the device's RDMA devices can send; false when there is none in this namespace. */
export const hasActiveRdmaPort = (root: string, pci: string): boolean =>
  rdmaDevicesOf(root, pci).some((name) => {
    const ports = join(device(root, pci), "infiniband", name, "ports");
    return entries(ports).some((port) => /^4:/.test(line(join(ports, port, "state")) ?? ""));
  });

/** `node_guid` of a function's RDMA devices, if they are in this namespace: `0011:22ff:fe33:4455`. */
export const nodeGuidsOf = (root: string, pci: string): string[] =>
  rdmaDevicesOf(root, pci).flatMap((name) => line(join(device(root, pci), "infiniband", name, "node_guid")) ?? []);

/**
 * The character devices of a function's RDMA device that exist: `uverbs4`, `umad4`, `issm4`, `ucm4`. Unlike `infiniband/`,
 * these folders remain while the RDMA device is in another namespace: their classes know no namespaces.
 */
export const rdmaCharDevicesOf = (root: string, pci: string): string[] =>
  ["infiniband_verbs", "infiniband_mad", "infiniband_cm"].flatMap((kind) => entries(join(device(root, pci), kind)));

/** Whether the kernel offers `/dev/infiniband/rdma_cm`, which all RDMA devices share. */
export const hasRdmaCm = (root: string): boolean => existsSync(join(root, "class/misc/rdma_cm"));

/** Name of the RDMA device that a `uverbs4` belongs to, in any namespace. */
export const rdmaDeviceBehind = (root: string, pci: string, uverbs: string): string | undefined =>
  line(join(device(root, pci), "infiniband_verbs", uverbs, "ibdev"));

/** Whether it can be the name of a link: neither a path nor only dots. */
const isName = (netdev: string): boolean => !netdev.includes("/") && /[^.]/.test(netdev);

/** Bytes; undefined when this sysfs shows no such link. */
export const mtuOf = (root: string, netdev: string): number | undefined =>
  isName(netdev) ? number(join(root, "class/net", netdev, "mtu")) : undefined;

/** Mb/s; undefined without carrier, or where the driver does not know. */
export const speedOf = (root: string, netdev: string): number | undefined =>
  isName(netdev) ? number(join(root, "class/net", netdev, "speed")) : undefined;

/** NUMA node; undefined where there is none, for which the kernel shows -1. */
export const numaNodeOf = (root: string, pci: string): number | undefined =>
  number(join(device(root, pci), "numa_node"));

/** PCI addresses in order. */
export const listPciDevices = (root: string): string[] => entries(join(root, "bus/pci/devices")).sort();

/** All PFs with a link, ordered by PCI address. */
export function listPfs(root: string): PfInfo[] {
  return listPciDevices(root)
    .filter((pci) => isPf(root, pci))
    .flatMap((pci) => {
      const name = netdevOf(root, pci);
      return name ? [{ name, pci, numVfs: numVfsOf(root, pci) }] : [];
    });
}

/** The PF with this name or PCI address, or the n-th of {@link listPfs}, counted from 0. */
export function findPf<P extends Pf>(pfs: readonly P[], which: string | number): P | undefined {
  if (typeof which === "number") return Number.isInteger(which) && which >= 0 ? pfs[which] : undefined;
  return pfs.find((pf) => pf.name === which) ?? pfs.find((pf) => pf.pci === which.toLowerCase());
}

const target = (link: string): string | undefined => read(() => basename(readlinkSync(link)));

function number(file: string): number | undefined {
  const text = line(file);
  return text && /^\d+$/.test(text) ? Number(text) : undefined;
}
