import { codeOf } from "../../kernel/errno.ts";
import { getLink, type Link, type LinkSelector, parseLink } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";

/** Also by an alternative name. @returns undefined when there is none. */
export const linkNamed = (rtnl: NetlinkConnection, name: string): Link | undefined => linkAt(rtnl, { name });

export function linkAt(rtnl: NetlinkConnection, which: LinkSelector): Link | undefined {
  try {
    return parseLink(rtnl.request(getLink(which))!);
  } catch (error) {
    if (codeOf(error) === "ENODEV") return undefined;
    throw error;
  }
}
