import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lockRdma } from "../../cni/attachment/lock-rdma.ts";
import type { Paths } from "../../cni/host.ts";
import { CLOCK } from "../../cni/node-host.ts";
import { driverOf, netdevOf } from "../../kernel/sysfs.ts";

// Each of these frees numbers of RDMA character devices and takes others: under the node's lock, so that no ADD, DEL or
// Allocate of any process compares numbers meanwhile.

type InstallPaths = Pick<Paths, "sysfs" | "runDir">;

/** Writes `sriov_numvfs`; rejects with the kernel's errno. */
export async function writeNumVfs(pf: string, count: number, paths: InstallPaths): Promise<void> {
  using _lock = await lockRdma("VFS", { paths });
  await writeFile(join(paths.sysfs, "bus/pci/devices", pf, "sriov_numvfs"), `${count}`, { flag: "r+" });
}

/** Drivers create links a moment later. */
const LINK_MS = 30_000;

/** Unbinds a VF's driver, binds it again, and waits for the VF's link. */
export async function rebind(vf: string, paths: InstallPaths): Promise<void> {
  using _lock = await lockRdma("VFS", { paths });
  const { sysfs } = paths;
  const driver = driverOf(sysfs, vf);
  if (!driver) return;
  const write = (file: string) => writeFile(join(sysfs, "bus/pci/drivers", driver, file), vf, { flag: "r+" });
  await write("unbind");
  await write("bind");
  const end = CLOCK.nowMs() + LINK_MS;
  while (netdevOf(sysfs, vf) === undefined && CLOCK.nowMs() < end) await CLOCK.sleep(20);
}
