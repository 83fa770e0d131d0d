import { realpathSync } from "node:fs";
import { join } from "node:path";
import { entries, line } from "./sysfs-files.ts";

// `root` is where sysfs is mounted. Whatever does not exist is undefined or empty; nothing here throws.

/** The link between a function and the port above it, as the kernel writes it: `16.0 GT/s PCIe`. */
export interface PcieLink {
  readonly speed: string;
  readonly width: number;
  /** The speed that the device supports. */
  readonly maxSpeed: string;
  readonly maxWidth: number;
}

/** Undefined for a function that has none, such as a virtual one. */
export function pcieLinkOf(root: string, pci: string): PcieLink | undefined {
  const of = (name: string) => line(join(root, "bus/pci/devices", pci, name));
  const [speed, width, maxSpeed, maxWidth] = [
    "current_link_speed",
    "current_link_width",
    "max_link_speed",
    "max_link_width",
  ].map(of);
  if (!speed || !Number(width)) return undefined; // "Unknown" and 0 without a PCIe capability
  return { speed, width: Number(width), maxSpeed: maxSpeed ?? speed, maxWidth: Number(maxWidth) || Number(width) };
}

/** `pci0000:17`: what Kubernetes calls `resource.kubernetes.io/pcieRoot`. */
export const pcieRootOf = (root: string, pci: string): string | undefined => pathOf(root, pci)[0];

/** Vendor and device, `15b3:1021`. */
export function modelOf(root: string, pci: string): string | undefined {
  const [vendor, device] = ["vendor", "device"].map((name) =>
    /^0x([0-9a-f]{4})$/.exec(line(join(root, "bus/pci/devices", pci, name)) ?? ""),
  );
  return vendor && device ? `${vendor[1]}:${device[1]}` : undefined;
}

/** Class codes of pci_ids.h: 3D controllers and processing accelerators; VGA only from makers of GPUs, not a BMC's. */
const isGpu = (pciClass: string, vendor: string): boolean =>
  /^0x(0302|1200)/.test(pciClass) || (pciClass.startsWith("0x0300") && ["0x10de", "0x1002"].includes(vendor));

/** PCI addresses of all GPUs, in order. */
export const listGpus = (root: string): string[] =>
  entries(join(root, "bus/pci/devices"))
    .sort()
    .filter((pci) => {
      const of = (name: string) => line(join(root, "bus/pci/devices", pci, name)) ?? "";
      return isGpu(of("class"), of("vendor"));
    });

/** The GPUs that share the most bridges with a function; empty when they are below other roots. */
export function nearestGpus(root: string, pci: string, gpus: readonly string[]): string[] {
  const own = pathOf(root, pci);
  const shared = gpus.map((gpu) => ({ gpu, depth: inCommon(own, pathOf(root, gpu)) }));
  const most = Math.max(0, ...shared.map(({ depth }) => depth));
  return most === 0 ? [] : shared.filter(({ depth }) => depth === most).map(({ gpu }) => gpu);
}

/** Root and bridges above a function, then the function: `pci0000:17`, `0000:17:01.0`, … */
function pathOf(root: string, pci: string): string[] {
  try {
    const path = realpathSync(join(root, "bus/pci/devices", pci)).split("/");
    const first = path.findIndex((name) => /^pci[0-9a-f]{4,}:[0-9a-f]{2}$/.test(name));
    return first < 0 ? [] : path.slice(first);
  } catch {
    return [];
  }
}

function inCommon(a: readonly string[], b: readonly string[]): number {
  const differs = a.findIndex((name, i) => name !== b[i]);
  return differs < 0 ? a.length : differs;
}

/** Priorities for which a port's RoCE congestion control is on at both ends of it; undefined where the driver does not say (`ecn/`, NVIDIA only). */
export function ecnOf(root: string, netdev: string): string | undefined {
  const kinds = ["roce_np", "roce_rp"].map((kind) => {
    const dir = join(root, "class/net", netdev, "ecn", kind, "enable");
    return entries(dir)
      .sort()
      .filter((priority) => line(join(dir, priority)) === "1");
  });
  if (entries(join(root, "class/net", netdev, "ecn")).length === 0) return undefined;
  return kinds[0]!.filter((priority) => kinds[1]!.includes(priority)).join(",");
}

/** How often a link has lost or gained carrier since it was created; waits for no lock. */
export const carrierChangesOf = (root: string, netdev: string): number =>
  Number(line(join(root, "class/net", netdev, "carrier_changes")) ?? 0) || 0;
