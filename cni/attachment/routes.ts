import { listAddresses, parseAddress } from "../../kernel/address.ts";
import { networkOf } from "../../kernel/netlink/ip-bytes.ts";
import type { Message, NetlinkConnection } from "../../kernel/netlink/message.ts";
import { prependRoute, type RouteSpec, RT_SCOPE_LINK } from "../../kernel/route.ts";
import { deleteRule, listRules, parseRule, type Rule } from "../../kernel/rule.ts";
import type { AttachConfig, SourceRules } from "../config.ts";
import { isIPv6 } from "../protocol/ip.ts";
import type { IpConfig, Result, Route } from "../protocol/result.ts";
import type { Attachment } from "./record.ts";

/** Default number of a source-rule table: this plus the link's index, which is unique in a namespace. */
const FIRST_TABLE = 1000;

/** Entries of one list of the pod that are examined; any that a longer list hides end with the pod's namespace. */
const MOST = 100_000;

/** The table that holds a rail's own routes. */
export const tableOf = (rules: SourceRules, index: number): number => rules.table ?? FIRST_TABLE + index;

/**
 * Messages that set the routes of an IPAM result, and on request a table of the rail's own. The pod may already have routes
 * to the same destinations; ours are added beside them, only through our link, and so leave with it. Repeating them changes nothing.
 */
export const routeMessages = (index: number, addresses: Result, config: AttachConfig): Message[] =>
  expectedRoutes(index, addresses, config).map(prependRoute);

/** The routes that ADD sets: those of the IPAM result; with source rules also the same, and the rail's own, in its table. */
export function expectedRoutes(index: number, { ips, routes }: Result, { sourceRules }: AttachConfig): RouteSpec[] {
  const main = routes.map((route) => toSpec(index, route, ips));
  if (!sourceRules) return main;
  const table = tableOf(sourceRules, index);
  const rail = ips.map(({ address }) => ({
    dst: networkOf(address),
    index,
    table,
    scope: RT_SCOPE_LINK,
    ...source(address),
  }));
  const gateways = ips.flatMap(({ gateway }) =>
    gateway ? [{ dst: isIPv6(gateway) ? "::/0" : "0.0.0.0/0", gateway, index, table }] : [],
  );
  const others = routes
    .filter(({ dst }) => !dst.endsWith("/0"))
    .map((route) => ({ ...toSpec(index, route, ips), table }));
  return [...main, ...rail, ...gateways, ...others];
}

/** One rule per address: what comes from it leaves by the rail's own table. */
export function expectedRules(index: number, { ips }: Result, { sourceRules }: AttachConfig): Rule[] {
  if (!sourceRules) return [];
  const table = tableOf(sourceRules, index);
  return ips.map(({ address }) => ({
    from: `${bare(address)}/${isIPv6(address) ? 128 : 32}`,
    table,
    priority: sourceRules.priority,
  }));
}

/**
 * Rules outlive their link: before it leaves the pod, those that ADD set are removed, each once, and no others. Nothing
 * else of the pod is examined.
 *
 * @param index of the link in the pod: for records without rules, of a version that removed all for its addresses.
 */
export function removeRules(pod: NetlinkConnection, { rules, addresses }: Attachment, index: number | undefined): void {
  const ours = rules ?? rulesFor(pod, index, addresses?.ips ?? []);
  pod.batch(ours.map((rule) => ({ ...deleteRule(rule), settled: "ENOENT" })));
}

function rulesFor(pod: NetlinkConnection, index: number | undefined, set: readonly IpConfig[]): Rule[] {
  const present = pod.dump(listAddresses(), { most: MOST }).map(parseAddress);
  const own = new Set(
    [...present.filter((a) => a.index === index).map((a) => a.cidr), ...set.map((ip) => ip.address)].map(bare),
  );
  return pod
    .dump(listRules(), { most: MOST })
    .map(parseRule)
    .filter((rule) => rule !== undefined && own.has(bare(rule.from))) as Rule[];
}

/** A route without a gateway takes the first one of its family among the addresses, as in `ipam.ConfigureIface`. */
function toSpec(index: number, { dst, gw, ...rest }: Route, ips: readonly IpConfig[]): RouteSpec {
  const gateway = gw ?? ips.find((ip) => ip.gateway && isIPv6(ip.gateway) === isIPv6(dst))?.gateway;
  return { dst, index, ...rest, ...(gateway && rest.scope !== RT_SCOPE_LINK && { gateway }) };
}

/** The kernel refuses a tentative IPv6 address as source; there the rule alone has to do. */
const source = (address: string) => (isIPv6(address) ? {} : { src: bare(address) });

const bare = (address: string): string => address.split("/")[0]!;
