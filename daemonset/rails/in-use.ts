import { Journal } from "../../cni/attachment/journal.ts";
import { describe } from "../../cni/attachment/record.ts";
import { driverOf, isForUserspace, netdevOf } from "../../kernel/sysfs.ts";

/** Where to see whether a VF is in use. */
export interface HostUseEvidence {
  readonly sysfs: string;
  readonly stateDir: string;
  readonly bootId: string;
  /** Whether the kubelet gave it to a pod a moment ago, whose ADD is still to come. */
  readonly isPromised: (vf: string) => boolean;
  /** How the host uses a VF's link, in words. */
  readonly hostUse: (vf: string) => Promise<string | undefined>;
}

/** @returns who has a VF, in a sentence; undefined if it is free. */
export async function userOf(vf: string, signs: HostUseEvidence): Promise<string | undefined> {
  const { sysfs, stateDir, bootId, isPromised, hostUse } = signs;
  const [owner] = new Journal(stateDir).activeOwners(vf, bootId);
  if (owner) return `VF ${vf} is in use by ${describe(owner)}`;
  if (isPromised(vf)) return `VF ${vf} was given to a pod that is just being made`;
  if (isForUserspace(sysfs, vf)) return `VF ${vf} has driver ${driverOf(sysfs, vf)}, for userspace`;
  if (!netdevOf(sysfs, vf)) return driverOf(sysfs, vf) && `the link of VF ${vf} is in another network namespace`;
  const use = await hostUse(vf);
  return use && `VF ${vf}: ${use}`;
}
