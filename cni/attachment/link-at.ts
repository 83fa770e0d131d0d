import { codeOf } from "../../kernel/errno.ts";
import { type Link, type LinkSelector, linkOf } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";

/** Also finds alternative names. @returns undefined when there is none. */
export const linkNamed = (rtnl: NetlinkConnection, name: string): Link | undefined => linkAt(rtnl, { name });

export function linkAt(rtnl: NetlinkConnection, which: LinkSelector): Link | undefined {
  try {
    return rtnl.get(linkOf(which));
  } catch (error) {
    if (codeOf(error) === "ENODEV") return undefined;
    throw error;
  }
}
