import { driverOf, isForUserspace, listPfs, netdevOf, type Pf, vfsOf } from "../../kernel/sysfs.ts";

/**
 * Where a VF is: `used` by one of our attachments, `free` in the host's namespace (or with a userspace driver, waiting),
 * or neither: its link is `elsewhere`, in a namespace that we did not put it into, or it has no driver (`unbound`), or it
 * is `owed` part of its restoration, and no pod gets it before.
 */
export type VfUse = "used" | "owed" | "free" | "elsewhere" | "unbound";

/** PCI addresses that the node's records name. */
export interface OnRecord {
  readonly used: ReadonlySet<string>;
  readonly owed: ReadonlySet<string>;
}

export interface Vf {
  readonly pci: string;
  /** Its index at the PF. */
  readonly index: number;
  readonly state: VfUse;
}

/** A PF with the state of its VFs. */
export interface PfWithVfs extends Pf {
  readonly vfs: readonly Vf[];
}

/** From sysfs alone: no netlink, a few directory reads per VF. */
export const listPfsWithVfs = (sysfs: string, onRecord: OnRecord): PfWithVfs[] =>
  listPfs(sysfs).map(({ name, pci }) => ({
    name,
    pci,
    vfs: vfsOf(sysfs, pci).map((vf, index) => ({ pci: vf, index, state: stateOf(sysfs, vf, onRecord) })),
  }));

function stateOf(sysfs: string, pci: string, { used, owed }: OnRecord): VfUse {
  if (used.has(pci)) return "used";
  if (owed.has(pci)) return "owed";
  if (netdevOf(sysfs, pci) !== undefined) return "free";
  if (driverOf(sysfs, pci) === undefined) return "unbound";
  return isForUserspace(sysfs, pci) ? "free" : "elsewhere";
}
