import { type Link, type LinkSelector, listLinks, parseLink } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { netdevOf } from "../../kernel/sysfs.ts";
import type { Host } from "../host.ts";
import { type Identity, identityOf, isTheVf, isTheVfAtHome } from "./identity.ts";
import { linkAt, linkNamed } from "./link-at.ts";
import type { Attachment } from "./record.ts";

/** The VF's link in the pod's namespace: under the name that ADD gave it, otherwise under any. */
export function findInPod(pod: NetlinkConnection, who: Identity): Link | undefined {
  const likely: LinkSelector[] = [{ name: who.ifname }, ...who.indices.map((index) => ({ index }))];
  for (const which of likely) {
    const link = linkAt(pod, which);
    if (link && isTheVf(link, who)) return link;
  }
  return who.hasParent ? findByParent(pod, who) : undefined;
}

/** The VF's link in the host's namespace: sysfs tells what it is called there. */
export function findAtHome(who: Identity, { rtnl, paths }: Pick<Host, "rtnl" | "paths">): Link | undefined {
  const shown = netdevOf(paths.sysfs, who.pci);
  const isIt = (link: Link | undefined) => link !== undefined && isTheVfAtHome(link, who, shown);
  const byIndex = () => who.indices.map((index) => linkAt(rtnl, { index })).find(isIt);
  const bySysfs = shown === undefined ? undefined : linkNamed(rtnl, shown);
  if (who.hasParent) return isIt(bySysfs) ? bySysfs : (byIndex() ?? findByParent(rtnl, who));
  return byIndex() ?? (isIt(bySysfs) ? bySysfs : undefined);
}

/** Whether the VF's link is in the pod's namespace; a VF without a link counts as being where its record says. */
export function isInPod(a: Attachment, netns: Fd, host: Pick<Host, "rtnl">): boolean {
  if (a.original.name === undefined) return true;
  using pod = inNetns(netns, () => new NetlinkSocket());
  return findInPod(pod, identityOf(a, host)) !== undefined;
}

const findByParent = (rtnl: NetlinkConnection, { pci }: Identity): Link | undefined =>
  rtnl
    .dump(listLinks(), { evenInterrupted: true })
    .map(parseLink)
    .find(({ parent }) => parent === pci);
