import {
  driverOf,
  exists,
  hasActiveRdmaPort,
  hasCarrier,
  hasRepresentors,
  isForUserspace,
  linkTypeOf,
  numaNodeOf,
  rdmaCharDevicesOf,
  rdmaDevicesOf,
  vfsOf,
} from "../../kernel/sysfs.ts";
import { lacksNodeGuid } from "../rails/admin-mac.ts";
import { nameOf, type RailHere } from "../rails/select.ts";
import { isIn } from "../rails/vf-range.ts";

/** What the kubelet may give to a container, a VF or a set of them, in its present state. */
export interface Sight {
  /** PCI addresses, separated by commas. */
  readonly id: string;
  readonly vfs: readonly { readonly pci: string; readonly pf: string }[];
  readonly numaNode?: number;
  /** A pod has it. */
  readonly attached: boolean;
  /** It is no longer on the bus; it is listed as long as a pod has it. */
  readonly gone: boolean;
  /** It has not been usable yet, or not since the agent has to work on it: that needs no grace period. */
  readonly unready?: boolean;
  /** Why a pod could not use it. */
  readonly problem?: string;
}

const OWED = "it is not fully restored since its last pod: the agent keeps trying (railnet status)";
const NO_NODE_GUID = "its RDMA device has no node GUID yet: the agent sets one while no pod has it (rails)";

/**
 * All VFs of a rail, in the PF's order. One in a pod's namespace is still on the bus, and so keeps its place.
 *
 * @param attached VFs with a record in the journal.
 * @param owed VFs that could not be fully restored.
 * @param before what was last listed: a VF in a pod is not dropped because it vanishes.
 * @param unfit why a VF cannot be given to a pod, beyond what sysfs says, by PCI address.
 */
export function lookAtVfs(
  { rail, pf, ranges }: RailHere,
  sysfs: string,
  attached: ReadonlySet<string>,
  owed: ReadonlySet<string>,
  before: readonly string[] = [],
  unfit: Readonly<Record<string, string>> = {},
): Sight[] {
  const pfProblem = problemOfPf(sysfs, { rail, pf });
  const needsRdma = rail.rdma !== undefined && rdmaDevicesOf(sysfs, pf.pci).length > 0;
  const here = vfsOf(sysfs, pf.pci).filter((_, index) => isIn(index, ranges));
  const missing = before.filter((vf) => !here.includes(vf) && attached.has(vf));
  return [...here, ...missing].map((pci) => {
    const gone = !exists(sysfs, pci);
    const numaNode = numaNodeOf(sysfs, pci);
    const isAttached = attached.has(pci);
    const ofVf = owed.has(pci) ? OWED : problemOfVf(sysfs, pci, isAttached, needsRdma, unfit[pci]);
    const problem = gone ? "it is not on the PCI bus" : ofVf === OWED ? OWED : (pfProblem ?? ofVf);
    return {
      id: pci,
      vfs: [{ pci, pf: pf.pci }],
      attached: isAttached,
      gone,
      unready: problem === NO_NODE_GUID || problem === OWED,
      ...(numaNode !== undefined && { numaNode }),
      ...(problem && { problem }),
    };
  });
}

/** The PF's own RDMA device tells whether its port can send: a VF's is down as long as its link is, before ADD. */
function problemOfPf(sysfs: string, { rail, pf }: RailHere): string | undefined {
  if (pf.name === undefined) return `PF ${pf.pci} has no link: is its driver loaded?`;
  const type = linkTypeOf(sysfs, pf.name);
  if (type !== undefined && type !== 1)
    return `PF ${nameOf(pf)} is not Ethernet (type ${type}): rails are (mlxconfig LINK_TYPE)`;
  if (hasRepresentors(sysfs, pf.pci))
    return `PF ${nameOf(pf)} is in switchdev mode, and representors are not supported (devlink dev eswitch set pci/${pf.pci} mode legacy)`;
  if (!hasCarrier(sysfs, pf.name)) return `PF ${nameOf(pf)} has no carrier: is it up? check cable and switch`;
  if (rail.rdma && rdmaDevicesOf(sysfs, pf.pci).length > 0 && !hasActiveRdmaPort(sysfs, pf.pci))
    return `no RDMA port of PF ${nameOf(pf)} is active (rdma link)`;
  return undefined;
}

function problemOfVf(sysfs: string, vf: string, attached: boolean, needsRdma: boolean, unfit?: string) {
  if (attached) return undefined;
  const driver = driverOf(sysfs, vf);
  if (!driver) return "no driver is bound to it";
  if (isForUserspace(sysfs, vf)) return `it has driver ${driver}, for userspace, whose devices no pod is given`;
  if (unfit) return unfit;
  if (lacksNodeGuid(sysfs, vf)) return NO_NODE_GUID;
  if (needsRdma && rdmaCharDevicesOf(sysfs, vf).length === 0)
    return "its PF has an RDMA device and it has none: is the RDMA part of its driver loaded (mlx5_ib, irdma)?";
  return undefined;
}
