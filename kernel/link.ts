import { codeOf } from "./errno.ts";
import {
  IFLA_XDP,
  type LinkSettings,
  readSettings,
  readXdp,
  settingAttributes,
  settingFlags,
  type XdpMode,
  type XdpProgram,
  xdpOff,
} from "./link-settings.ts";
import { attribute, attributes, NLA_F_NESTED, nested, readText, readU32, text, u8, u32 } from "./netlink/attribute.ts";
import { macBytes, macText } from "./netlink/mac-bytes.ts";
import { type Message, type NetlinkConnection, NLM_F_CREATE, NLM_F_EXCL, type Query } from "./netlink/message.ts";
import { AF_INET, AF_INET6 } from "./protocols.ts";
import type { Fd } from "./syscall.ts";

/** Message types and `IFLA_*`, include/uapi/linux/rtnetlink.h and if_link.h. */
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
const RTM_NEWLINKPROP = 108;
const RTM_DELLINKPROP = 109;
/** include/uapi/linux/net_namespace.h. */
const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_IFALIAS = 20;
const IFLA_AF_SPEC = 26;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const IFLA_MIN_MTU = 50;
const IFLA_MAX_MTU = 51;
const IFLA_PROP_LIST = 52;
const IFLA_ALT_IFNAME = 53;
const IFLA_PERM_ADDRESS = 54;
const IFLA_PARENT_DEV_NAME = 56;
const IFLA_INET_CONF = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const RTEXT_FILTER_VF = 1;
const RTEXT_FILTER_SKIP_STATS = 8;
const IFF_UP = 1;
const IFF_RUNNING = 0x40;
const IFF_LOWER_UP = 0x10000;

/** `ifi_type` of Ethernet, include/uapi/linux/if_arp.h. */
export const ARPHRD_ETHER = 1;
/** Longer names are alternative names: IFNAMSIZ without the NUL. */
const NAME_MAX = 15;

/** A network interface. */
export interface Link {
  readonly index: number;
  /** `ARPHRD_*`: 1 is Ethernet, 32 InfiniBand. */
  readonly type: number;
  readonly name: string;
  /** Lower case, or "" for a link without one. */
  readonly mac: string;
  /** The MAC that the device came with, or "" where the driver reports none. */
  readonly permMac: string;
  readonly mtu: number;
  /** The kernel has no IPv4 settings for it, so it accepts no address: it was registered under a name that sysctl reserves. */
  readonly lacksInet: boolean;
  readonly minMtu: number;
  readonly maxMtu: number;
  readonly up: boolean;
  readonly carrier: boolean;
  /** Up, with carrier, and the kernel has finished bringing it up. */
  readonly running: boolean;
  readonly alias: string;
  readonly altnames: readonly string[];
  /** Bus address of the device, `0000:af:06.0`, or "" for a virtual link, and for any link before kernel 5.14. */
  readonly parent: string;
  /** `veth`, `bond`, …; "" for a real device. */
  readonly kind: string;
  readonly settings: LinkSettings;
  /** Attached XDP programs, at most one per mode. */
  readonly xdp: readonly XdpProgram[];
}

/** `struct ifinfomsg`. */
export function ifinfomsg(index = 0, flags = 0, change = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

export type LinkSelector = { readonly name: string } | { readonly index: number };

/** Reads one link, whose name may be an alternative name; `vfs` adds what parseVfs() reads. Refused with `ENODEV` when there is none. */
export function getLink(which: LinkSelector, { vfs = false } = {}): Message {
  const mask = u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS | (vfs ? RTEXT_FILTER_VF : 0));
  const body = "name" in which ? [ifinfomsg(), nameOf(which.name), mask] : [ifinfomsg(which.index), mask];
  const what = "name" in which ? which.name : `link ${which.index}`;
  return { what: `read ${what}`, type: RTM_GETLINK, get: true, body: Buffer.concat(body) };
}

/** One link. */
export const linkOf = (which: LinkSelector): Query<Link> => ({ message: getLink(which), parse: parseLink });

const nameOf = (name: string): Buffer => text(name.length > NAME_MAX ? IFLA_ALT_IFNAME : IFLA_IFNAME, name);

/** The link with this name or alternative name; undefined when there is none, or when this is not a valid name. */
export function linkCalled(name: string, rtnl: NetlinkConnection): Link | undefined {
  try {
    return name === "" ? undefined : rtnl.get(linkOf({ name }));
  } catch (error) {
    if (["ENODEV", "EINVAL", "ERANGE"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** For dump(). */
export function listLinks(): Message {
  return {
    what: "list links",
    type: RTM_GETLINK,
    body: Buffer.concat([ifinfomsg(), u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)]),
  };
}

/** Body of a RTM_NEWLINK message. */
export function parseLink(body: Buffer): Link {
  const flags = body.readUInt32LE(8);
  const link = {
    index: body.readInt32LE(4),
    type: body.readUInt16LE(2),
    name: "",
    mac: "",
    permMac: "",
    mtu: 0,
    lacksInet: false,
    minMtu: 0,
    maxMtu: 0,
    alias: "",
    altnames: [] as string[],
    parent: "",
    kind: "",
    xdp: [] as XdpProgram[],
  };
  const found = attributes(body.subarray(16));
  for (const a of found) {
    if (a.type === IFLA_IFNAME) link.name = readText(a);
    else if (a.type === IFLA_ADDRESS) link.mac = macText(a.data);
    else if (a.type === IFLA_PERM_ADDRESS) link.permMac = macText(a.data);
    else if (a.type === IFLA_MTU) link.mtu = readU32(a);
    else if (a.type === IFLA_AF_SPEC) link.lacksInet = !attributes(a.data).some(({ type }) => type === AF_INET);
    else if (a.type === IFLA_MIN_MTU) link.minMtu = readU32(a);
    else if (a.type === IFLA_MAX_MTU) link.maxMtu = readU32(a);
    else if (a.type === IFLA_IFALIAS) link.alias = readText(a);
    else if (a.type === IFLA_PARENT_DEV_NAME) link.parent = readText(a);
    else if (a.type === IFLA_LINKINFO) link.kind = readKind(a.data);
    else if (a.type === IFLA_XDP) link.xdp = readXdp(a);
    else if (a.type === IFLA_PROP_LIST)
      link.altnames = attributes(a.data)
        .filter((p) => p.type === IFLA_ALT_IFNAME)
        .map(readText);
  }
  return {
    ...link,
    settings: readSettings(flags, found),
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    running: (flags & (IFF_RUNNING | IFF_LOWER_UP)) === (IFF_RUNNING | IFF_LOWER_UP),
  };
}

function readKind(info: Buffer): string {
  const kind = attributes(info).find((a) => a.type === IFLA_INFO_KIND);
  return kind ? readText(kind) : "";
}

/** The link that another is stacked on (the lower device of a macvlan or VLAN): its index, in the namespace of that number or in the same. */
export interface Lower {
  readonly index: number;
  readonly netnsId?: number;
}

/** From a RTM_NEWLINK body; undefined for a link that is stacked on none. */
export function lowerOf(body: Buffer): Lower | undefined {
  let index: number | undefined;
  let netnsId: number | undefined;
  for (const a of attributes(body.subarray(16)))
    if (a.type === IFLA_LINK) index = readU32(a);
    else if (a.type === IFLA_LINK_NETNSID) netnsId = a.data.readInt32LE(0);
  return index === undefined ? undefined : { index, ...(netnsId !== undefined && { netnsId }) };
}

/** The number that the socket's namespace has for another; -1 where it has none. */
export function netnsIdOf({ n }: Fd): Query<number> {
  const body = Buffer.concat([Buffer.alloc(4), u32(NETNSA_FD, n)]); // struct rtgenmsg
  const message = { what: "read a namespace's number", type: RTM_GETNSID, get: true, body };
  return { message, parse: parseNetnsId };
}

/** -1 where it has none. */
function parseNetnsId(body: Buffer): number {
  const id = attributes(body.subarray(4)).find((a) => a.type === NETNSA_NSID);
  return id ? id.data.readInt32LE(0) : -1;
}

/** What to change on a link; what is absent stays as it is. */
export interface LinkChange {
  readonly netns?: Fd;
  readonly name?: string;
  /** "" removes the alias. */
  readonly alias?: string;
  readonly mac?: string;
  /** Bytes. */
  readonly mtu?: number;
  readonly up?: boolean;
  readonly settings?: Partial<LinkSettings>;
  /** Detaches the XDP program of this mode. */
  readonly xdpOff?: XdpMode;
  /** `IPV4_DEVCONF_*` to value, include/uapi/linux/ip.h. */
  readonly inetConf?: Readonly<Record<number, number>>;
  /** The kernel generates no link-local IPv6 address. */
  readonly addrGenNone?: boolean;
}

/**
 * Changes a link in the socket's namespace. With `netns` the kernel moves it first and does the rest there. Not atomic:
 * if it is refused half-way (`EEXIST`: the name is taken), the link is in the new namespace with some of the changes.
 */
export function setLink(index: number, change: LinkChange, what = `change link ${index}`): Message {
  const [flags, changed] = settingFlags(change.settings ?? {});
  const [up, upChanged] = change.up === undefined ? [0, 0] : [change.up ? IFF_UP : 0, IFF_UP];
  const body = [ifinfomsg(index, flags | up, changed | upChanged)];
  if (change.netns) body.push(u32(IFLA_NET_NS_FD, change.netns.n));
  if (change.name !== undefined) body.push(text(IFLA_IFNAME, change.name));
  if (change.alias !== undefined) body.push(attribute(IFLA_IFALIAS, Buffer.from(change.alias)));
  if (change.mac !== undefined) body.push(attribute(IFLA_ADDRESS, macBytes(change.mac)));
  if (change.mtu !== undefined) body.push(u32(IFLA_MTU, change.mtu));
  body.push(...settingAttributes(change.settings ?? {}));
  if (change.xdpOff !== undefined) body.push(xdpOff(change.xdpOff));
  const families = familySettings(change);
  if (families.length > 0) body.push(nested(IFLA_AF_SPEC, families));
  return { what, type: RTM_SETLINK, body: Buffer.concat(body) };
}

function familySettings({ inetConf, addrGenNone }: LinkChange): Buffer[] {
  const conf = Object.entries(inetConf ?? {}).map(([key, value]) => u32(Number(key), value));
  return [
    ...(conf.length > 0 ? [nested(AF_INET, [nested(IFLA_INET_CONF, conf)])] : []),
    ...(addrGenNone ? [nested(AF_INET6, [u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE)])] : []),
  ];
}

/** Removes a virtual link (macvlan, VLAN, veth); a real device refuses with `EOPNOTSUPP`. */
export function deleteLink(index: number): Message {
  return { what: `delete link ${index}`, type: RTM_DELLINK, body: ifinfomsg(index) };
}

const altname = (index: number, name: string) =>
  Buffer.concat([ifinfomsg(index), nested(IFLA_PROP_LIST | NLA_F_NESTED, [text(IFLA_ALT_IFNAME, name)])]);

export function addAltname(index: number, name: string): Message {
  return {
    what: `add altname ${name}`,
    type: RTM_NEWLINKPROP,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: altname(index, name),
  };
}

export function deleteAltname(index: number, name: string): Message {
  return { what: `delete altname ${name}`, type: RTM_DELLINKPROP, body: altname(index, name) };
}
