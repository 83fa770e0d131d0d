import { IFA_F_DADFAILED, type LinkAddress, listAddresses, parseAddress } from "../../kernel/address.ts";
import { getLink, type Link } from "../../kernel/link.ts";
import { attributes } from "../../kernel/netlink/attribute.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns } from "../../kernel/netns.ts";
import { listRdmaDevices, NETLINK_RDMA } from "../../kernel/rdma.ts";
import { listRoutes, parseRoute, type RouteSpec, type RouteState } from "../../kernel/route.ts";
import { listRules, parseRule, type Rule } from "../../kernel/rule.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { readSysctl } from "../../kernel/sysctl.ts";
import type { AttachConfig } from "../config.ts";
import { isIPv6 } from "../protocol/ip.ts";
import type { Call } from "../protocol/request.ts";
import type { Interface, Result, Route } from "../protocol/result.ts";
import { findInPod } from "./find-link.ts";
import type { Identity } from "./identity.ts";
import { settingDifferences } from "./link-state/clean.ts";
import type { Attachment } from "./record.ts";
import { expectedRoutes, expectedRules, tableOf } from "./routes.ts";

/** Entries of one list of the pod that are examined; the pod may make it any length. */
const MOST = 100_000;

/**
 * Differences between the pod and what ADD set and prevResult says, one line each. Only reads.
 *
 * Chained plugins may have changed anything that the result does not contain (SPEC.md, "CHECK"): `tuning` MAC and MTU,
 * `route-override` and `sbr` the routes or their table, `vrf` puts the link below another and recreates its routes. So only
 * routes that prevResult still lists are compared, whatever table they are in.
 */
export function podDifferences(
  a: Attachment,
  who: Identity,
  config: AttachConfig,
  expected: Interface,
  call: Call,
  netns: Fd,
): string[] {
  if (a.original.name === undefined) return [];
  using pod = inNetns(netns, () => new NetlinkSocket());
  const link = findInPod(pod, who);
  if (!link) return [`VF ${a.device.pci} is not in the pod`];
  const own = ownPart(call.prevResult!, expected);
  return [
    ...linkDifferences(link, expected, call.ifname, config),
    ...settingDifferences(link),
    ...addressDifferences(pod, link, own),
    ...routeDifferences(pod, link, a.addresses ?? own, { config, listed: call.prevResult!.routes }),
    ...sysctlDifferences(config, link.name, netns),
    ...rdmaDifferences(a, netns),
  ];
}

/** The addresses of prevResult that are on our interface. */
function ownPart(result: Result, expected: Interface): Result {
  const index = result.interfaces.indexOf(expected);
  return { ...result, ips: result.ips.filter((ip) => ip.interface === index) };
}

function linkDifferences(link: Link, expected: Interface, ifname: string, { mtu }: AttachConfig): string[] {
  const wanted = mtu && (expected.mtu ?? mtu); // if nobody asked for one, it is whatever a later plugin set
  return [
    ...(link.name === ifname ? [] : [`its name is ${link.name}, ADD set ${ifname}`]),
    ...(!expected.mac || link.mac === expected.mac.toLowerCase()
      ? []
      : [`its MAC is ${link.mac}, ADD set ${expected.mac}`]),
    ...(!wanted || link.mtu === wanted ? [] : [`its MTU is ${link.mtu}, ADD set ${wanted}`]),
    ...(link.up ? [] : ["it is down"]),
  ];
}

function addressDifferences(pod: NetlinkConnection, link: Link, { ips }: Result): string[] {
  const there = new Map<string, LinkAddress>(
    pod
      .dump(listAddresses(), { most: MOST })
      .map(parseAddress)
      .filter((x) => x.index === link.index)
      .map((x) => [x.cidr, x]),
  );
  return ips.flatMap(({ address }) => {
    const found = there.get(address.toLowerCase());
    if (!found) return [`address ${address} is gone`];
    return found.flags & IFA_F_DADFAILED ? [`address ${address} is a duplicate: another host has it`] : [];
  });
}

interface Wanted {
  readonly config: AttachConfig;
  /** Routes of prevResult. */
  readonly listed: readonly Route[];
}

function routeDifferences(pod: NetlinkConnection, link: Link, result: Result, { config, listed }: Wanted): string[] {
  const there = byDestination(pod.dump(listRoutes(), { most: MOST }).map(parseRoute));
  const own = config.sourceRules && tableOf(config.sourceRules, link.index);
  const isThere = (want: RouteSpec, tables: (table: number) => boolean) =>
    (there.get(want.dst) ?? []).some((r) => tables(r.table) && isAsSet(r, want));
  const names = new Set(listed.map(nameOf));
  const main = { ...result, routes: result.routes.filter((route) => names.has(nameOf(route))) };
  const missing = expectedRoutes(link.index, main, withoutRules(config)).filter((w) => !isThere(w, (t) => t !== own));
  if (own === undefined || isBelowAnother(pod, link)) return missing.map(isGone);
  const inOwn = expectedRoutes(link.index, result, config).filter((want) => want.table === own);
  const lost = inOwn.filter((want) => !isThere(want, (table) => table === own));
  return [...[...missing, ...lost].map(isGone), ...ruleDifferences(pod, link, result, config)];
}

function ruleDifferences(pod: NetlinkConnection, link: Link, result: Result, config: AttachConfig): string[] {
  const textOf = ({ from, table, priority }: Rule) => `${from} ${table} ${priority}`;
  const there = new Set(pod.dump(listRules(), { most: MOST }).map((body) => textOf(parseRule(body) ?? NO_RULE)));
  const missing = expectedRules(link.index, result, config).filter((rule) => !there.has(textOf(rule)));
  return missing.map((rule) => `rule from ${rule.from} is gone`);
}

const NO_RULE: Rule = { from: "", table: 0, priority: 0 };

const isGone = ({ dst }: RouteSpec): string => `route ${dst} is gone`;

const nameOf = ({ dst, gw = "" }: Route): string => `${dst} ${gw}`;

function withoutRules({ sourceRules: _, ...config }: AttachConfig): AttachConfig {
  return config;
}

function byDestination(routes: readonly RouteState[]): Map<string, RouteState[]> {
  const found = new Map<string, RouteState[]>();
  for (const route of routes) {
    const same = found.get(route.dst);
    if (same) same.push(route);
    else found.set(route.dst, [route]);
  }
  return found;
}

/** Whether a plugin behind us has put the link below a VRF, a bond or a bridge, which then has its own rules and tables. */
function isBelowAnother(pod: NetlinkConnection, { index }: Link): boolean {
  const hasMaster = (body: Buffer) => attributes(body.subarray(16)).some(({ type }) => type === IFLA_MASTER);
  return pod.get({ message: getLink({ index }), parse: hasMaster });
}

/** include/uapi/linux/if_link.h. */
const IFLA_MASTER = 10;

/**
 * Everything that ADD set except the table; what it left to the kernel may be anything. IPv6 routes have no scope of their
 * own, and those to the same destination are next hops of one route.
 */
function isAsSet(there: RouteState, want: RouteSpec): boolean {
  const { scope, table: _, index, gateway, ...rest } = want;
  const named = { ...rest, ...(scope !== undefined && !isIPv6(want.dst) && { scope }) };
  const isHop = (hop: { readonly index?: number; readonly gateway?: string }) =>
    hop.index === index && (gateway === undefined || hop.gateway === gateway);
  return (
    (Object.keys(named) as (keyof typeof named)[]).every((key) => there[key] === named[key]) &&
    [there, ...(there.hops ?? [])].some(isHop)
  );
}

function sysctlDifferences({ sysctl }: AttachConfig, ifname: string, netns: Fd): string[] {
  const entries = Object.entries(sysctl);
  if (entries.length === 0) return [];
  const now = inNetns(netns, () => entries.map(([key]) => readSysctl(key, { ifname })));
  return entries.flatMap(([key, value], i) =>
    now[i] === value.trim() ? [] : [`${key} is ${now[i]}, ADD set ${value}`],
  );
}

function rdmaDifferences({ original }: Attachment, netns: Fd): string[] {
  if (!original.rdma?.length) return [];
  using rdma = inNetns(netns, () => new NetlinkSocket({ protocol: NETLINK_RDMA }));
  const there = listRdmaDevices(rdma);
  const isThere = (name: string, i: number) =>
    there.some((one) => (original.rdmaIndices ? one.index === original.rdmaIndices[i] : one.name === name));
  return original.rdma.flatMap((name, i) => (isThere(name, i) ? [] : [`RDMA device ${name} is not in the pod`]));
}
