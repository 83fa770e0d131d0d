import { type Attribute, attribute, attributes, nested, readU32, u32 } from "./netlink/attribute.ts";
import { ipBytes, ipText, isIPv6, splitCidr } from "./netlink/ip-bytes.ts";
import { type Message, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "./netlink/message.ts";
import { AF_INET, AF_INET6 } from "./protocols.ts";

/** include/uapi/linux/rtnetlink.h. */
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTAX_MTU = 2;
const RTAX_ADVMSS = 8;
const RTPROT_UNSPEC = 0;
const RTPROT_BOOT = 3;
const RTN_UNSPEC = 0;
const RTN_UNICAST = 1;
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RT_TABLE_UNSPEC = 0;
export const RT_TABLE_MAIN = 254;

/** One next hop of a multipath route. */
export interface Hop {
  readonly index: number;
  readonly gateway: string;
  /** 1 to 256. */
  readonly weight?: number;
}

/** A unicast route. */
export interface RouteSpec {
  /** CIDR; `0.0.0.0/0` or `::/0` is the default route. */
  readonly dst: string;
  readonly index?: number;
  readonly gateway?: string;
  readonly table?: number;
  readonly priority?: number;
  /** Default: link without a gateway, universe with one. */
  readonly scope?: number;
  /** Preferred source address. */
  readonly src?: string;
  /** Bytes. */
  readonly mtu?: number;
  readonly advmss?: number;
  readonly hops?: readonly Hop[];
  /** Who made it, `RTPROT_*` or a private number. Default: ip(8)'s; for deleteRoute(), anybody's. */
  readonly protocol?: number;
}

/** Refused with `EEXIST` when there is one with the same destination, table and priority. */
export function addRoute(route: RouteSpec): Message {
  const scope = route.scope ?? (route.gateway || route.hops || isIPv6(route.dst) ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  const body = encode(route, { protocol: route.protocol ?? RTPROT_BOOT, scope, type: RTN_UNICAST });
  return { what: `add route ${label(route)}`, type: RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, body };
}

/**
 * Adds a route beside those with the same destination, table and priority, as `ip route prepend` and the CNI plugins do
 * (`netlink.RouteAddEcmp()`): among IPv4 routes the new one comes first, IPv6 makes them next hops of one route. It is
 * not an error if the very same route exists.
 */
export const prependRoute = (route: RouteSpec): Message => ({
  ...addRoute(route),
  flags: NLM_F_CREATE,
  settled: "EEXIST",
});

/**
 * As `ip route replace`: in one step, for the route with the same destination, table and priority, whoever made that one,
 * or beside all others. With IPv4 no packet is without a route in the meantime.
 */
export const replaceRoute = (route: RouteSpec): Message => ({
  ...addRoute(route),
  what: `replace route ${label(route)}`,
  flags: NLM_F_CREATE | NLM_F_REPLACE,
});

/** Deletes the first route that matches everything given, whoever made it if `protocol` is not given. Refused with `ESRCH` when there is none. */
export function deleteRoute(route: RouteSpec): Message {
  const { protocol = RTPROT_UNSPEC } = route;
  const body = encode(route, { protocol, scope: route.scope ?? RT_SCOPE_NOWHERE, type: RTN_UNSPEC });
  return { what: `delete route ${label(route)}`, type: RTM_DELROUTE, body };
}

/** For dump(): all routes in all tables of the namespace. */
export function listRoutes(): Message {
  return { what: "list routes", type: RTM_GETROUTE, body: Buffer.alloc(12) };
}

/** For dump(): routes of one family in table main, or of one protocol there; the kernel does the filtering (4.20). */
export function listMainRoutes(family: 4 | 6, protocol = RTPROT_UNSPEC): Message {
  const body = Buffer.alloc(12);
  body[0] = family === 6 ? AF_INET6 : AF_INET;
  body[4] = RT_TABLE_MAIN;
  body[5] = protocol;
  return { what: "list routes of table main", type: RTM_GETROUTE, body };
}

/** For dump(): routes of one family, in all tables, that leave by a link; the kernel does the filtering. */
export function listRoutesBy(index: number, family: 4 | 6): Message {
  const header = Buffer.alloc(12);
  header[0] = family === 6 ? AF_INET6 : AF_INET;
  const body = Buffer.concat([header, u32(RTA_OIF, index)]);
  return { what: `list routes by link ${index}`, type: RTM_GETROUTE, body };
}

const label = ({ dst, gateway }: RouteSpec): string => (gateway ? `${dst} via ${gateway}` : dst);

/** `struct rtmsg` and attributes. */
function encode(route: RouteSpec, h: { protocol: number; scope: number; type: number }): Buffer {
  const { table = RT_TABLE_MAIN } = route;
  const { bytes, bits } = splitCidr(route.dst);
  const header = Buffer.alloc(12);
  header[0] = bytes.length === 16 ? AF_INET6 : AF_INET;
  header[1] = bits;
  header[4] = table < 256 ? table : RT_TABLE_UNSPEC;
  header[5] = h.protocol;
  header[6] = h.scope;
  header[7] = h.type;
  const dst = bits > 0 || bytes.length === 16 ? [attribute(RTA_DST, bytes)] : [];
  return Buffer.concat([header, ...dst, ...parameters(route)]);
}

/** In the order of ip(8). A table above 255 does not fit into the header's byte. */
function parameters(route: RouteSpec): Buffer[] {
  const { index, gateway, table = RT_TABLE_MAIN, priority, src, hops } = route;
  return [
    ...(src ? [attribute(RTA_PREFSRC, ipBytes(src))] : []),
    ...(gateway ? [attribute(RTA_GATEWAY, ipBytes(gateway))] : []),
    ...(priority ? [u32(RTA_PRIORITY, priority)] : []),
    ...(table < 256 ? [] : [u32(RTA_TABLE, table)]),
    ...(index === undefined ? [] : [u32(RTA_OIF, index)]),
    ...metrics(route),
    ...(hops ? [attribute(RTA_MULTIPATH, Buffer.concat(hops.map(nexthop)))] : []),
  ];
}

function metrics({ mtu, advmss }: RouteSpec): Buffer[] {
  const list = [...(mtu ? [u32(RTAX_MTU, mtu)] : []), ...(advmss ? [u32(RTAX_ADVMSS, advmss)] : [])];
  return list.length > 0 ? [nested(RTA_METRICS, list)] : [];
}

/** Size of `struct rtnexthop`. */
const RTNEXTHOP = 8;

/** `struct rtnexthop` and its gateway. */
function nexthop({ index, gateway, weight = 1 }: Hop): Buffer {
  const via = attribute(RTA_GATEWAY, ipBytes(gateway));
  const header = Buffer.alloc(RTNEXTHOP);
  header.writeUInt16LE(RTNEXTHOP + via.length, 0);
  header[3] = weight - 1;
  header.writeInt32LE(index, 4);
  return Buffer.concat([header, via]);
}

/** A route as the kernel reports it, in the same terms, so that it can be compared with what was added, or deleted. */
export interface RouteState extends RouteSpec {
  readonly table: number;
  readonly scope: number;
  /** Who made it, `RTPROT_*`: 2 is the kernel for an address, 9 a router advertisement. */
  readonly protocol: number;
  /** `RTN_*`: 1 is unicast. */
  readonly type: number;
}

/** Body of a RTM_NEWROUTE message. */
export function parseRoute(body: Buffer): RouteState {
  const found = byType(body.subarray(12));
  const dst = ipOf(found, RTA_DST) ?? (body.readUInt8(0) === AF_INET6 ? "::" : "0.0.0.0");
  const inner = byType(found.get(RTA_METRICS)?.data ?? Buffer.alloc(0));
  const hops = found.get(RTA_MULTIPATH);
  return {
    dst: `${dst}/${body.readUInt8(1)}`,
    table: numberOf(found, RTA_TABLE) ?? body.readUInt8(4),
    protocol: body.readUInt8(5),
    scope: body.readUInt8(6),
    type: body.readUInt8(7),
    ...given("index", numberOf(found, RTA_OIF)),
    ...given("gateway", ipOf(found, RTA_GATEWAY)),
    ...given("priority", numberOf(found, RTA_PRIORITY)),
    ...given("src", ipOf(found, RTA_PREFSRC)),
    ...given("mtu", numberOf(inner, RTAX_MTU)),
    ...given("advmss", numberOf(inner, RTAX_ADVMSS)),
    ...given("hops", hops && parseHops(hops.data)),
  };
}

type Found = ReadonlyMap<number, Attribute>;
const byType = (bytes: Buffer): Found => new Map(attributes(bytes).map((a) => [a.type, a]));
const ipOf = (found: Found, type: number) => (found.has(type) ? ipText(found.get(type)!.data) : undefined);
const numberOf = (found: Found, type: number) => (found.has(type) ? readU32(found.get(type)!) : undefined);
const given = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };

/** @throws {Error} when a length does not fit. */
function parseHops(bytes: Buffer): Hop[] {
  const hops: Hop[] = [];
  for (let at = 0; at + RTNEXTHOP <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < RTNEXTHOP || at + length > bytes.length)
      throw new Error("cannot read a next hop: its length is wrong");
    const gateway = ipOf(byType(bytes.subarray(at + RTNEXTHOP, at + length)), RTA_GATEWAY) ?? "";
    hops.push({ index: bytes.readInt32LE(at + 4), gateway, weight: bytes.readUInt8(at + 3) + 1 });
    at += (length + 3) & ~3;
  }
  return hops;
}
