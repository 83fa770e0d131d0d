import { codeOf } from "../../../kernel/errno.ts";
import { deleteLink, type Link, listLinks, lowerOf, netnsIdOf, parseLink } from "../../../kernel/link.ts";
import type { NetlinkConnection } from "../../../kernel/netlink/message.ts";
import type { Fd } from "../../../kernel/syscall.ts";

/**
 * Removes a pod's links that are stacked on a link (macvlan, ipvlan, VLAN, MACsec): a move leaves them behind, and they keep
 * receiving from the VF and sending through it, in the next pod, too; a macvlan in passthru mode even changes its MAC when
 * it is removed. Bonds, bridges and VRFs release their ports themselves. One pass over the pod's links, however many there are.
 *
 * @param away the namespace that the link is in, if no longer the pod's.
 * @returns how many there were.
 */
export function removeUppers(pod: NetlinkConnection, { index }: Pick<Link, "index">, away?: Fd): number {
  const standing = pod.dump(listLinks(), { evenInterrupted: true }).filter((body) => lowerOf(body)?.index === index);
  if (standing.length === 0) return 0;
  const netnsId = away && pod.get(netnsIdOf(away));
  const own = standing.filter((body) => lowerOf(body)?.netnsId === netnsId).map(parseLink);
  for (const upper of own) remove(pod, upper.index);
  return own.length;
}

function remove(rtnl: NetlinkConnection, index: number): void {
  try {
    rtnl.request(deleteLink(index));
  } catch (error) {
    if (codeOf(error) !== "ENODEV") throw error; // the pod was quicker
  }
}
