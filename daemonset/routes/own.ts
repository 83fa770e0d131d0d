import { listAddresses, parseAddress } from "../../kernel/address.ts";
import { linkCalled, linkOf } from "../../kernel/link.ts";
import { isIPv6 } from "../../kernel/netlink/ip-bytes.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { listMainRoutes, parseRoute } from "../../kernel/route.ts";
import { speedOf } from "../../kernel/sysfs.ts";
import type { RailPeerRail } from "./object.ts";
import type { RoutesOrder } from "./order.ts";
import type { OwnNode } from "./own-node.ts";

/** A rail of this node that can be used. */
export interface OwnRail extends RailPeerRail {
  readonly netdev: string;
  readonly index: number;
}

/** This node as its kernel has it. */
export interface OwnLook {
  readonly own: OwnNode;
  /** The link that has the primary address. */
  readonly primaryLink: string;
  readonly rails: readonly OwnRail[];
  /** Rails that cannot be used. */
  readonly unusable: readonly { readonly rail: string; readonly why: string }[];
}

/** Why a node can have no routes over rails, as it is. */
export class NoRailsError extends Error {
  override readonly name = "NoRailsError";
}

/** Looks at links and addresses. @throws {NoRailsError} */
export function lookAtOwn(
  { node, primary, rails: wanted, podCIDRs = [] }: RoutesOrder,
  rtnl: NetlinkConnection,
  sysfs: string,
): OwnLook {
  const addresses = rtnl.dump(listAddresses()).map(parseAddress).filter(({ cidr }) => !isIPv6(cidr)); // biome-ignore format: one row
  const ip = (cidr: string) => cidr.split("/")[0]!;
  const home = addresses.find(({ cidr }) => ip(cidr) === primary);
  if (!home) throw new NoRailsError(`no link of this node has its InternalIP ${primary}`);
  const rails: OwnRail[] = [];
  const unusable: { rail: string; why: string }[] = [];
  for (const { name, netdev } of wanted) {
    const link = linkCalled(netdev, rtnl);
    const address = addresses.find(({ index }) => index === link?.index)?.cidr;
    const speed = speedOf(sysfs, netdev);
    if (!link) unusable.push({ rail: name, why: `there is no link ${netdev}` });
    else if (link.index === home.index) unusable.push({ rail: name, why: `${netdev} has the primary address itself` });
    else if (!address) unusable.push({ rail: name, why: `${netdev} has no IPv4 address: give it one of its rail's` });
    else
      rails.push({
        ...{ name, netdev, index: link.index, address, mac: link.mac, mtu: link.mtu },
        ...(speed !== undefined && speed > 0 && { speed }),
      });
  }
  if (rails.length === 0) throw new NoRailsError(unusable[0]?.why ?? "this node has none of the rails");
  const gateways = rtnl.dump(listMainRoutes(4)).map(parseRoute).filter(({ dst }) => dst === "0.0.0.0/0").flatMap(({ gateway }) => gateway ?? []); // biome-ignore format: one row
  return {
    own: {
      node,
      identity: {
        primary,
        rails: rails.map(({ netdev: _, index: __, ...published }) => published),
        ...(podCIDRs.length > 0 && { podCIDRs }),
      },
      reserved: [...addresses.map(({ cidr }) => ip(cidr)), ...gateways],
    },
    primaryLink: rtnl.get(linkOf({ index: home.index })).name,
    rails,
    unusable,
  };
}
