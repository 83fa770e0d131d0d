import { Journal } from "../../cni/attachment/journal.ts";
import { describe } from "../../cni/attachment/record.ts";
import { driverOf, isForUserspace, masterOf, netdevOf } from "../../cni/kernel/sysfs.ts";

/** Where one sees that somebody has a VF. */
export interface Signs {
  readonly sysfs: string;
  readonly stateDir: string;
  readonly bootId: string;
  /** Whether the kubelet gave it to a pod a moment ago, whose ADD is still to come. */
  readonly isPromised: (vf: string) => boolean;
  /** Whether a link has an address that it did not make by itself. */
  readonly hasAddress: (netdev: string) => boolean;
}

/** @returns who has a VF, in a sentence; undefined when it is free. */
export function userOf(vf: string, { sysfs, stateDir, bootId, isPromised, hasAddress }: Signs): string | undefined {
  const [owner] = new Journal(stateDir).activeOwners(vf, bootId);
  if (owner) return `VF ${vf} is in use by ${describe(owner)}`;
  if (isPromised(vf)) return `VF ${vf} was given to a pod that is just being made`;
  if (isForUserspace(sysfs, vf)) return `VF ${vf} has driver ${driverOf(sysfs, vf)}, for userspace`;
  const netdev = netdevOf(sysfs, vf);
  if (!netdev) return driverOf(sysfs, vf) && `the link of VF ${vf} is in another network namespace`;
  const master = masterOf(sysfs, netdev);
  if (master) return `VF ${vf} (${netdev}) belongs to ${master}`;
  return hasAddress(netdev) ? `VF ${vf} (${netdev}) has an address of the host` : undefined;
}
