import { lacksNodeGuid } from "../../daemonset/rails/admin-mac.ts";
import { mtuOf, netdevOf } from "../../kernel/sysfs.ts";
import type { NodeStatus, RailStatus } from "../status/node-status.ts";
import { type DoctorFinding, named, note, wrong } from "./finding.ts";

/** Whether rails are as their list wants them, and as their VFs need them. */
export function railFindings(status: NodeStatus, sysfs: string): DoctorFinding[] {
  const { rails, configured } = status;
  return [
    ...named(
      "rails",
      [...status.problems.map(wrong), ...configured.flatMap((one) => vfCount(one, rails))],
      well(rails),
    ),
    ...named(
      "MTU",
      rails.flatMap((rail) => vfMtus(rail, sysfs)),
      "no free VF has a larger one than its PF",
    ),
    ...named(
      "RDMA",
      [...rdmaMode(status), ...rails.flatMap((rail) => nodeGuids(rail, sysfs))],
      status.rdma ? `namespaces are ${status.rdma}` : "the kernel has none loaded",
    ),
  ];
}

const well = (rails: readonly RailStatus[]): string =>
  rails.length > 0
    ? `the agent serves; up with carrier: ${rails.map(({ rail }) => rail).join(", ")}`
    : "the agent serves";

function vfCount({ rail, pf, vfs: wanted }: NodeStatus["configured"][number], rails: readonly RailStatus[]) {
  const has = rails.find((one) => one.pf === pf)?.vfs.length ?? 0;
  if (wanted === 0 || has === wanted) return [];
  return [
    wrong(`rail ${rail} (${pf}) has ${has} VFs of ${wanted} configured: the agent's log says why, look for "${pf}"`),
  ];
}

/** Packets larger than the PF's MTU are silently lost. */
function vfMtus({ pf, mtu, vfs }: RailStatus, sysfs: string) {
  const larger = vfs.flatMap(({ pci }) => {
    const netdev = netdevOf(sysfs, pci);
    const own = netdev && mtuOf(sysfs, netdev);
    return own && mtu && own > mtu ? [`${netdev} (${own})`] : [];
  });
  if (larger.length === 0) return [];
  return [wrong(`PF ${pf} has ${mtu}, which is less than its VFs ${larger.join(", ")}: ip link set ${pf} mtu SIZE`)];
}

/** For VFs at home: one in a pod has its RDMA device there. */
function nodeGuids({ pf, vfs }: RailStatus, sysfs: string) {
  const without = vfs.filter(({ pci }) => lacksNodeGuid(sysfs, pci)).map(({ pci }) => pci);
  if (without.length === 0) return [];
  return [
    wrong(
      `VFs of ${pf} have no node GUID, so rdma_cm fails: ${without.join(", ")}: the agent sets them while no pod has the VFs; ` +
        `by hand: ip link set ${pf} vf INDEX mac MAC, then unbind and bind the VF's driver`,
    ),
  ];
}

function rdmaMode({ rdma, rails, configured }: NodeStatus) {
  const wanted = configured.find((one) => one.rdma)?.rdma;
  if (wanted && rdma !== wanted) {
    const option = `options ib_core netns_mode=${wanted === "shared" ? 1 : 0}`;
    return [
      wrong(
        `namespaces are ${rdma ?? "not there"}, the list of rails wants ${wanted}: "${option}" in /etc/modprobe.d, then reboot`,
      ),
    ];
  }
  const devices = rails.flatMap((one) => one.rdma);
  if (rdma !== "shared" || devices.length === 0) return [];
  return [
    note("namespaces are shared: every pod sees the RDMA devices of all; `rdma: exclusive` in the list of rails"),
  ];
}
