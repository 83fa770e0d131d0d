import type { AttachConfig } from "../config.ts";
import { type Address, IFA_F_DADFAILED, listAddresses, parseAddress } from "../kernel/address.ts";
import type { Link } from "../kernel/link.ts";
import type { NetlinkConnection } from "../kernel/netlink/message.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { inNetns } from "../kernel/netns.ts";
import { listRdmaDevices, NETLINK_RDMA } from "../kernel/rdma.ts";
import { listRoutes, parseRoute, type RouteSpec, type RouteState, RT_TABLE_MAIN } from "../kernel/route.ts";
import { listRules, parseRule } from "../kernel/rule.ts";
import type { Fd } from "../kernel/syscall.ts";
import { readSysctl } from "../kernel/sysctl.ts";
import { isIPv6 } from "../protocol/ip.ts";
import type { Call } from "../protocol/request.ts";
import type { Interface, Result } from "../protocol/result.ts";
import { findLink } from "./find-link.ts";
import { settingDifferences } from "./link-state/clean.ts";
import type { Attachment } from "./record.ts";
import { expectedRoutes, expectedRules } from "./routes.ts";

/** What in the pod differs from what ADD set and prevResult says, one line each. Reads only. */
export function podDifferences(
  a: Attachment,
  config: AttachConfig,
  expected: Interface,
  call: Call,
  netns: Fd,
): string[] {
  if (a.original.name === undefined) return [];
  using pod = inNetns(netns, () => new NetlinkSocket());
  const link = findLink(pod, a.device, call.ifname);
  if (!link) return [`VF ${a.device.pci} is not in the pod`];
  const own = ownPart(call.prevResult!, expected);
  return [
    ...linkDifferences(link, expected, call.ifname),
    ...settingDifferences(link),
    ...addressDifferences(pod, link, own),
    ...routeDifferences(pod, link, a.addresses ?? own, config),
    ...sysctlDifferences(config, link.name, netns),
    ...rdmaDifferences(a, netns),
  ];
}

/** The addresses of prevResult that are on our interface. */
function ownPart(result: Result, expected: Interface): Result {
  const index = result.interfaces.indexOf(expected);
  return { ...result, ips: result.ips.filter((ip) => ip.interface === index) };
}

function linkDifferences(link: Link, expected: Interface, ifname: string): string[] {
  return [
    ...(link.name === ifname ? [] : [`its name is ${link.name}, ADD set ${ifname}`]),
    ...(!expected.mac || link.mac === expected.mac.toLowerCase()
      ? []
      : [`its MAC is ${link.mac}, ADD set ${expected.mac}`]),
    ...(!expected.mtu || link.mtu === expected.mtu ? [] : [`its MTU is ${link.mtu}, ADD set ${expected.mtu}`]),
    ...(link.up ? [] : ["it is down"]),
  ];
}

function addressDifferences(pod: NetlinkConnection, link: Link, { ips }: Result): string[] {
  const there = new Map<string, Address>(
    pod
      .dump(listAddresses())
      .map(parseAddress)
      .filter((x) => x.index === link.index)
      .map((x) => [x.cidr, x]),
  );
  return ips.flatMap(({ address }) => {
    const found = there.get(address.toLowerCase());
    if (!found) return [`address ${address} is gone`];
    return found.flags & IFA_F_DADFAILED ? [`address ${address} is a duplicate, as another host says`] : [];
  });
}

function routeDifferences(pod: NetlinkConnection, link: Link, result: Result, config: AttachConfig): string[] {
  const routes = pod.dump(listRoutes()).map(parseRoute);
  const missing = expectedRoutes(link.index, result, config).filter((want) => !routes.some((r) => isAsSet(r, want)));
  const rules = config.sourceRules ? pod.dump(listRules()).map(parseRule) : [];
  const missingRules = expectedRules(link.index, result, config).filter(
    (want) => !rules.some((r) => r?.from === want.from && r.table === want.table && r.priority === want.priority),
  );
  return [...missing.map((r) => `route ${r.dst} is gone`), ...missingRules.map((r) => `rule from ${r.from} is gone`)];
}

/** All that ADD named; what it left to the kernel may be anything. IPv6 routes have no scope of their own. */
function isAsSet(there: RouteState, want: RouteSpec): boolean {
  const { scope, ...rest } = want;
  const named = { table: RT_TABLE_MAIN, ...rest, ...(scope !== undefined && !isIPv6(want.dst) && { scope }) };
  return (Object.keys(named) as (keyof typeof named)[]).every((key) => there[key] === named[key]);
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
  const there = listRdmaDevices(rdma).map((d) => d.name);
  return original.rdma.filter((name) => !there.includes(name)).map((name) => `RDMA device ${name} is not in the pod`);
}
