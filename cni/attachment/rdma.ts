import { ATTACH_CODE } from "../codes.ts";
import type { RdmaMode } from "../config.ts";
import type { Host } from "../host.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { hostNetns, inNetns } from "../kernel/netns.ts";
import { listRdmaDevices, moveRdmaDevice, NETLINK_RDMA, rdmaNetnsMode } from "../kernel/rdma.ts";
import type { Fd } from "../kernel/syscall.ts";
import { rdmaDevicesOf } from "../kernel/sysfs.ts";
import { CniError } from "../protocol/error.ts";
import type { Attachment } from "./record.ts";

const openRdma = () => new NetlinkSocket({ protocol: NETLINK_RDMA });

/** What is to be done about the RDMA devices of a VF. */
export interface RdmaPlan {
  readonly devices: readonly string[];
  /** In exclusive mode they go with the VF; in shared mode they are visible everywhere. */
  readonly move: boolean;
}

/**
 * Reads, changes nothing.
 *
 * @throws {CniError} 104 when RDMA is `required` and there is none.
 */
export function planRdma(pci: string, mode: RdmaMode, host: Host): RdmaPlan {
  if (mode === "off") return { devices: [], move: false };
  const devices = rdmaDevicesOf(host.paths.sysfs, pci);
  if (devices.length === 0) {
    if (mode === "required")
      throw unusable(`VF ${pci} has no RDMA device; is its driver's RDMA part loaded (mlx5_ib, irdma)?`);
    return { devices, move: false };
  }
  using rdma = openRdma();
  return { devices, move: rdmaNetnsMode(rdma) === "exclusive" };
}

/** Moves the VF's RDMA devices after its link, as the kernel wants it (dranet#180). */
export function moveRdma({ devices, move }: RdmaPlan, netns: Fd): void {
  if (!move) return;
  using rdma = openRdma();
  for (const device of listRdmaDevices(rdma))
    if (devices.includes(device.name))
      rdma.request(moveRdmaDevice(device.index, netns, `move RDMA device ${device.name}`));
}

/**
 * Brings the recorded RDMA devices home, before their link. Idempotent. All of it inside: the kernel looks at the namespace
 * of the calling thread, not of the socket (`rdma_dev_change_netns`, drivers/infiniband/core/device.c), else ENODEV.
 */
export function returnRdma({ original }: Attachment, netns: Fd): void {
  const names = original.rdma ?? [];
  if (names.length === 0) return;
  const home = hostNetns();
  inNetns(netns, () => {
    using pod = openRdma();
    for (const device of listRdmaDevices(pod))
      if (names.includes(device.name))
        pod.request(moveRdmaDevice(device.index, home, `move RDMA device ${device.name} home`));
  });
}

function unusable(why: string): CniError {
  return new CniError(ATTACH_CODE.RDMA_UNUSABLE, `cannot provide RDMA: ${why}`);
}
