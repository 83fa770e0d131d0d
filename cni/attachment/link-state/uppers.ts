import { codeOf } from "../../kernel/errno.ts";
import { deleteLink, type Link, listLinks, lowerIndex, parseLink } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";

/**
 * Removes what stands on a link in its namespace (macvlan, ipvlan, VLAN, MACsec): a move leaves such links behind, and
 * they go on receiving from the VF and sending by it, in the next pod, too. Bonds, bridges and VRFs let go by themselves.
 * One pass over the pod's links, however many there are.
 */
export function removeUppers(rtnl: NetlinkConnection, link: Link): void {
  for (const body of rtnl.dump(listLinks(), { evenInterrupted: true }))
    if (lowerIndex(body) === link.index) remove(rtnl, parseLink(body).index);
}

function remove(rtnl: NetlinkConnection, index: number): void {
  try {
    rtnl.request(deleteLink(index));
  } catch (error) {
    if (codeOf(error) !== "ENODEV") throw error; // the pod was quicker
  }
}
