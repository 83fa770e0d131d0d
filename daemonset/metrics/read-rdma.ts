import { Journal } from "../../cni/attachment/journal.ts";
import { openOwnNetns } from "../../cni/attachment/own-netns.ts";
import { withSysfsOf } from "../../cni/attachment/rdma-ready.ts";
import type { Attachment } from "../../cni/attachment/record.ts";
import { readOffered } from "../../cni/attachment/told/offered.ts";
import { toldOf } from "../../cni/attachment/told/tell.ts";
import type { Host } from "../../cni/host.ts";
import { nicCountersOf } from "../../kernel/nic-counters.ts";
import { carrierChangesOf } from "../../kernel/pcie.ts";
import { type RdmaCounts, rdmaCountsOf, rdmaDevicesSeen } from "../../kernel/rdma-counters.ts";
import type { Ask } from "../../kernel/rx-rules.ts";
import { netdevOf, rdmaDevicesOf, vfsOf } from "../../kernel/sysfs.ts";

/** RDMA counters of a PF and of its VFs in pods, and the PF's own of what tells of a sick fabric. */
export interface RdmaReading {
  /** Name of the PF's link. */
  readonly pf: string;
  /** Of the PF's own RDMA device; absent without one. */
  readonly counts?: RdmaCounts;
  /** How often its link lost or got its carrier since it was made. */
  readonly carrierChanges: number;
  /** Those of `NIC_EVENTS` that its driver has, by name. */
  readonly nic: Readonly<Record<string, number>>;
  readonly pods: readonly PodRdma[];
}

export interface PodRdma {
  /** `namespace/name`. */
  readonly pod: string;
  readonly interface: string;
  /** Of the device plugin; absent where another one serves. */
  readonly rail?: string;
  readonly counts: RdmaCounts;
}

type ReadingHost = Pick<Host, "paths" | "openSysfs" | "bootId"> & { readonly ask: Ask };

/** In the kernel thread of the PF, since a driver may ask its firmware. Undefined for a PF without link. */
export function readRdma(pf: string, host: ReadingHost): RdmaReading | undefined {
  const { sysfs, stateDir, runDir } = host.paths;
  const netdev = netdevOf(sysfs, pf);
  if (netdev === undefined) return undefined;
  const [own] = rdmaDevicesOf(sysfs, pf);
  const counts = own === undefined ? undefined : rdmaCountsOf(sysfs, own);
  const rails = readOffered(runDir)?.rails ?? {};
  const isHere = (a: Attachment) => a.phase === "attached" && a.bootId === host.bootId;
  const pods = new Journal(stateDir).ofDevices(new Set(vfsOf(sysfs, pf))).flatMap((a): PodRdma[] => {
    const found = isHere(a) && a.pod !== undefined ? countsOf(a, host) : undefined;
    const rail = rails[a.device.pci];
    return found ? [{ pod: a.pod!, interface: a.ifname, ...(rail !== undefined && { rail }), counts: found }] : [];
  });
  const [carrierChanges, nic] = [carrierChangesOf(sysfs, netdev), nicCountersOf(netdev, host.ask)];
  return { pf: netdev, carrierChanges, nic, ...(counts && { counts }), pods };
}

/** In exclusive mode the pod's own sysfs alone shows it, whatever the pod calls it. */
function countsOf(a: Attachment, host: Pick<Host, "paths" | "openSysfs">): RdmaCounts | undefined {
  const { pci } = a.device;
  const told = toldOf(a.containerId, host).find((one) => one.pci === pci)?.rdma?.device;
  const at = (root: string) => {
    const device = rdmaDevicesSeen(root, pci)[0] ?? told;
    return device === undefined ? undefined : rdmaCountsOf(root, device);
  };
  if ((a.original.rdma ?? []).length === 0) return at(host.paths.sysfs);
  try {
    using netns = openOwnNetns(a, host as Host);
    return netns && withSysfsOf(netns, host, at);
  } catch {
    return undefined; // the pod ends
  }
}
