import type { Link } from "../../kernel/link.ts";
import type { Host } from "../host.ts";
import { linkNamed } from "./link-at.ts";
import type { Attachment } from "./record.ts";

/**
 * How the VF's link is told from every other one. Name, alias, altnames, MAC and MTU are not part of it: in a pod's
 * namespace the tenant chooses them.
 */
export interface Identity {
  readonly pci: string;
  /** The kernel reports which device a link belongs to (`IFLA_PARENT_DEV_NAME`, from 5.14): then no other link is taken for the VF's. */
  readonly hasParent: boolean;
  /** For kernels that do not: the link's indices at ADD, in the host and in the pod. */
  readonly indices: readonly number[];
  /** And its kind: "" for a device, which no tenant can create. Undefined when ADD did not record it. */
  readonly kind?: string;
  /** Its name in the pod at ADD: for records without an index. */
  readonly ifname: string;
}

/** Records of 0.1.0 and those converted from sriov-cni's cache say nothing of the link: if a PF's link reports its parent, a VF's would too. */
export function identityOf({ device, link, ifname }: Attachment, host: Pick<Host, "rtnl">): Identity {
  const { pci, pf } = device;
  if (!link)
    return { pci, ifname, indices: [], hasParent: !pf || (linkNamed(host.rtnl, pf.name)?.parent ?? pci) !== "" };
  const indices = [link.podIndex, link.index].filter((index) => index !== undefined);
  return { pci, ifname, hasParent: link.hasParent, indices, kind: link.kind };
}

/** Whether a link in the pod's namespace is the VF's. Pure. */
export function isTheVf(link: Link, { pci, hasParent, indices, kind, ifname }: Identity): boolean {
  if (hasParent || link.parent) return link.parent === pci;
  if (kind === undefined) return link.name === ifname;
  return link.kind === kind && indices.includes(link.index);
}

/**
 * Whether a link in the host's namespace is the VF's. Pure.
 *
 * @param shown the name that sysfs shows for the VF: the kernel's word even where links do not report their parent.
 */
export function isTheVfAtHome(link: Link, who: Identity, shown: string | undefined): boolean {
  if (who.hasParent || link.parent) return link.parent === who.pci;
  if (who.kind !== undefined && link.kind !== who.kind) return false;
  return link.name === shown || who.indices.includes(link.index);
}
