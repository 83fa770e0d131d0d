import { codeOf } from "../kernel/errno.ts";
import { getLink, type Link, listLinks, parseLink } from "../kernel/link.ts";
import type { NetlinkConnection } from "../kernel/netlink/message.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { inNetns } from "../kernel/netns.ts";
import type { Fd } from "../kernel/syscall.ts";
import { parseMark } from "./mark.ts";
import type { Attachment, DeviceIdentity, Original } from "./record.ts";

/**
 * The VF's link, in the namespace of `rtnl`: by name if it is the one, else by PCI address or our mark.
 *
 * @param home what the link was, in the host's namespace: where links do not tell their PCI address (veth, kernels
 *   before 5.14), one of its name without our mark is it too.
 */
export function findLink(
  rtnl: NetlinkConnection,
  device: DeviceIdentity,
  name: string,
  home?: Original,
): Link | undefined {
  const isHome = (l: Link) => home !== undefined && l.name === home.name && ["", home.alias].includes(l.alias);
  const isOurs = (l: Link) =>
    l.parent ? l.parent === device.pci : parseMark(l.alias)?.pci === device.pci || isHome(l);
  const link = linkNamed(rtnl, name);
  if (link && isOurs(link)) return link;
  return rtnl.dump(listLinks(), { evenInterrupted: true }).map(parseLink).find(isOurs);
}

/** Whether the VF's link is in the pod's namespace; a VF without a link counts as being where its record says. */
export function isInPod(a: Attachment, netns: Fd): boolean {
  if (a.original.name === undefined) return true;
  using pod = inNetns(netns, () => new NetlinkSocket());
  return findLink(pod, a.device, a.ifname) !== undefined;
}

/** @returns undefined when there is none. */
export function linkNamed(rtnl: NetlinkConnection, name: string): Link | undefined {
  try {
    return parseLink(rtnl.request(getLink({ name }))!);
  } catch (error) {
    if (codeOf(error) === "ENODEV") return undefined;
    throw error;
  }
}
