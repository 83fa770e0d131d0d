import { isIPv6 } from "node:net";
import { type Attribute, attribute, attributes, nested, readU32, u32 } from "./netlink/attribute.ts";
import { ipBytes, ipText } from "./netlink/ip-bytes.ts";
import { type Message, NLM_F_CREATE, NLM_F_EXCL } from "./netlink/message.ts";

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
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
const RT_TABLE_UNSPEC = 0;
export const RT_TABLE_MAIN = 254;
const AF_INET = 2;
const AF_INET6 = 10;

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
}

/** Refused with `EEXIST` when there is one of the same destination, table and priority. */
export const addRoute = (route: RouteSpec): Message => message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "add", route);
/** Refused with `ESRCH` when there is none. */
export const deleteRoute = (route: RouteSpec): Message => message(RTM_DELROUTE, 0, "delete", route);

/** For dump(): all routes of all tables of the namespace. */
export function listRoutes(): Message {
  return { what: "list routes", type: RTM_GETROUTE, body: Buffer.alloc(12) };
}

function message(type: number, flags: number, verb: string, route: RouteSpec): Message {
  const { table = RT_TABLE_MAIN } = route;
  const [ip = "", bits] = route.dst.split("/");
  const v6 = isIPv6(ip);
  const length = Number(bits ?? (v6 ? 128 : 32));
  const header = Buffer.alloc(12);
  header[0] = v6 ? AF_INET6 : AF_INET;
  header[1] = length;
  header[4] = table < 256 ? table : RT_TABLE_UNSPEC;
  header[5] = RTPROT_BOOT;
  header[6] = route.scope ?? (route.gateway || route.hops || v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  header[7] = RTN_UNICAST;
  const via = route.gateway ? ` via ${route.gateway}` : "";
  return {
    what: `${verb} route ${route.dst}${via}`,
    type,
    flags,
    body: Buffer.concat([header, ...parameters(route, ip, length)]),
  };
}

/** In the order of ip(8). A table above 255 does not fit into the header's byte. */
function parameters(route: RouteSpec, ip: string, length: number): Buffer[] {
  const { index, gateway, table = RT_TABLE_MAIN, priority, src, hops } = route;
  return [
    ...(length > 0 || isIPv6(ip) ? [attribute(RTA_DST, ipBytes(ip))] : []),
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

/** `struct rtnexthop` and its gateway. */
function nexthop({ index, gateway, weight = 1 }: Hop): Buffer {
  const via = attribute(RTA_GATEWAY, ipBytes(gateway));
  const header = Buffer.alloc(8);
  header.writeUInt16LE(8 + via.length, 0);
  header[3] = weight - 1;
  header.writeInt32LE(index, 4);
  return Buffer.concat([header, via]);
}

/** What of a route the kernel reports. */
export interface RouteState {
  readonly dst: string;
  readonly table: number;
  readonly index?: number;
  readonly gateway?: string;
  readonly priority?: number;
}

/** Body of a RTM_NEWROUTE message. */
export function parseRoute(body: Buffer): RouteState {
  const found = new Map<number, Attribute>([...attributes(body.subarray(12))].map((a) => [a.type, a]));
  const ip = (type: number) => (found.has(type) ? ipText(found.get(type)!.data) : undefined);
  const number = (type: number) => (found.has(type) ? readU32(found.get(type)!) : undefined);
  const dst = ip(RTA_DST) ?? (body.readUInt8(0) === AF_INET6 ? "::" : "0.0.0.0");
  const [index, gateway, priority] = [number(RTA_OIF), ip(RTA_GATEWAY), number(RTA_PRIORITY)];
  return {
    dst: `${dst}/${body.readUInt8(1)}`,
    table: number(RTA_TABLE) ?? body.readUInt8(4),
    ...(index !== undefined && { index }),
    ...(gateway !== undefined && { gateway }),
    ...(priority !== undefined && { priority }),
  };
}
