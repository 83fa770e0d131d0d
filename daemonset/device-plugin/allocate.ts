import { TOLD_IN_CONTAINER, toldDirOf } from "../../cni/attachment/told/offered.ts";
import { hasRdmaCm, rdmaCharDevicesOf, rdmaDeviceBehind } from "../../kernel/sysfs.ts";
import type { ContainerAllocation, DeviceSpec } from "./api.ts";

/** A VF's RDMA devices. The paths are those of /dev, the same on the host and in the container. */
export interface VfRdmaFiles {
  readonly uverbs?: string;
  readonly umad?: string;
  readonly issm?: string;
  readonly ucm?: string;
  readonly rdma_cm?: string;
  /** Name of the RDMA device. */
  readonly rdma_dev?: string;
}

/** Undefined if a VF has no RDMA device. Works even while the device is in another network namespace. */
export function rdmaOf(sysfs: string, vf: string): VfRdmaFiles | undefined {
  const names = rdmaCharDevicesOf(sysfs, vf);
  const pathOf = (kind: string) => {
    const name = names.find((one) => /^\D+/.exec(one)?.[0] === kind);
    return name && { [kind]: `/dev/infiniband/${name}` };
  };
  const uverbs = names.find((name) => name.startsWith("uverbs"));
  if (!uverbs) return undefined;
  const device = rdmaDeviceBehind(sysfs, vf, uverbs);
  return {
    ...pathOf("uverbs"),
    ...pathOf("umad"),
    ...pathOf("issm"),
    ...pathOf("ucm"),
    ...(hasRdmaCm(sysfs) && { rdma_cm: "/dev/infiniband/rdma_cm" }),
    ...(device && { rdma_dev: device }),
  };
}

/**
 * What a container gets with these VFs: the variables and devices that the SR-IOV device plugin gives it, and what ADD tells of the
 * pod's rails, which is the same for each of its VFs. Pure.
 *
 * @param runDir of the node, the same for the container runtime.
 */
export function allocation(
  resource: string,
  vfs: readonly { readonly pci: string; readonly rdma: VfRdmaFiles | undefined }[],
  runDir: string,
): ContainerAllocation {
  const info = vfs.map(({ pci, rdma }) => [pci, { generic: { deviceID: pci }, ...(rdma && { rdma }) }]);
  const variable = variableOf(resource);
  const paths = vfs.flatMap(({ rdma }) => Object.entries(rdma ?? {}).filter(([key]) => key !== "rdma_dev"));
  return {
    envs: {
      [variable]: vfs.map(({ pci }) => pci).join(","),
      [`${variable}_INFO`]: JSON.stringify(Object.fromEntries(info)),
    },
    mounts: vfs
      .slice(0, 1)
      .map(({ pci }) => ({ container_path: TOLD_IN_CONTAINER, host_path: toldDirOf(runDir, pci), read_only: true })),
    devices: [...new Set(paths.map(([, path]) => path))].map(deviceSpec),
  };
}

/** `PCIDEVICE_RAILNET_IO_RAIL0`. Hyphens are kept, as in the SR-IOV device plugin: a shell cannot read such a name. */
const variableOf = (resource: string): string => `PCIDEVICE_${resource.toUpperCase().replace(/[./]/g, "_")}`;

const deviceSpec = (path: string): DeviceSpec => ({ container_path: path, host_path: path, permissions: "rw" });
