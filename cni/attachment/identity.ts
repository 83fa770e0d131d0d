import type { Link } from "../../kernel/link.ts";
import type { Host } from "../host.ts";
import { linkNamed } from "./link-at.ts";
import type { Attachment } from "./record.ts";

/**
 * How the VF's link is told from every other one. Name, alias, altnames, MAC and MTU are no part of it: in a pod's
 * namespace they are the tenant's to choose.
 */
export interface Identity {
  readonly pci: string;
  /** The kernel says whose a link is (`IFLA_PARENT_DEV_NAME`, from 5.14): then no other link is taken for the VF's. */
  readonly hasParent: boolean;
  /** For kernels that do not: indices that the link had at ADD, in the host and in the pod. */
  readonly indices: readonly number[];
  /** And of what kind it was: "" for a device, which no tenant can make. Undefined when ADD did not record it. */
  readonly kind?: string;
  /** In the pod, as ADD called it: for records that tell no index. */
  readonly ifname: string;
}

/** Records of 0.1.0 and those made of sriov-cni's cache say nothing of the link: what a PF's link tells, a VF's would too. */
export function identityOf({ device, link, ifname }: Attachment, host: Pick<Host, "rtnl">): Identity {
  const { pci, pf } = device;
  if (!link)
    return { pci, ifname, indices: [], hasParent: !pf || (linkNamed(host.rtnl, pf.name)?.parent ?? pci) !== "" };
  const indices = [link.podIndex, link.index].filter((index) => index !== undefined);
  return { pci, ifname, hasParent: link.hasParent, indices, kind: link.kind };
}

/** Whether a link of the pod's namespace is the VF's. Pure. */
export function isTheVf(link: Link, { pci, hasParent, indices, kind, ifname }: Identity): boolean {
  if (hasParent || link.parent) return link.parent === pci;
  if (kind === undefined) return link.name === ifname;
  return link.kind === kind && indices.includes(link.index);
}

/**
 * Whether a link of the host's namespace is the VF's. Pure.
 *
 * @param shown the name that sysfs shows for the VF: the kernel's word also where links do not tell their parent.
 */
export function isTheVfAtHome(link: Link, who: Identity, shown: string | undefined): boolean {
  if (who.hasParent || link.parent) return link.parent === who.pci;
  if (who.kind !== undefined && link.kind !== who.kind) return false;
  return link.name === shown || who.indices.includes(link.index);
}
