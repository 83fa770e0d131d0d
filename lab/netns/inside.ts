import type { Netns } from "./netns.ts";

type Json = Record<string, unknown>;

/** What ip(8) and sysctl(8) show in a pod, in command-line terms. */
export interface Inside {
  /** Without eth0, which is not ours. */
  readonly links: readonly string[];
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly alias: string;
  /** Without link-local ones. */
  readonly addresses: readonly string[];
  /** Of all tables; without local, multicast and link-local ones, and those of eth0. */
  readonly routes: readonly string[];
  /** Without those that every namespace has. */
  readonly rules: readonly string[];
}

/** Reads one interface of a pod; a missing interface has no MAC. */
export async function inside(pod: Netns, ifname = "net1"): Promise<Inside> {
  const [links = [], v4 = [], v6 = [], rules4 = [], rules6 = []] = await pod.showAll(
    "addr",
    "-4 route show table all",
    "-6 route show table all",
    "-4 rule",
    "-6 rule",
  );
  const link = links.find((l) => l["ifname"] === ifname) ?? {};
  return {
    links: links.map((l) => String(l["ifname"])).filter((name) => name !== "eth0"),
    mac: String(link["address"] ?? ""),
    mtu: Number(link["mtu"] ?? 0),
    up: ((link["flags"] as string[]) ?? []).includes("UP"),
    alias: String(link["ifalias"] ?? ""),
    addresses: ((link["addr_info"] as Json[]) ?? [])
      .filter(({ scope }) => scope !== "link")
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    routes: [...v4, ...v6]
      .filter(isOwnRoute)
      .flatMap(hopsOf)
      .filter(({ dev }) => dev !== "eth0")
      .map(routeText)
      .sort(),
    rules: [...rules4, ...rules6]
      .filter(({ src }) => src !== "all")
      .map(ruleText)
      .sort(),
  };
}

const isOwnRoute = ({ type = "unicast", dst }: Json): boolean =>
  type === "unicast" && !/^(fe80|ff00)::/.test(String(dst));

/** One route for each next hop. */
const hopsOf = ({ nexthops, ...route }: Json): Json[] =>
  nexthops === undefined ? [route] : (nexthops as Json[]).map(({ gateway, dev }) => ({ ...route, gateway, dev }));

function routeText({ dst, gateway, dev, table, metric, metrics, scope, prefsrc }: Json): string {
  const [{ mtu, advmss } = {} as Json] = (metrics as Json[]) ?? [];
  const shown = {
    via: gateway,
    dev,
    table: without("main", table),
    metric,
    mtu,
    advmss,
    scope: without("global", scope),
  };
  const words = Object.entries({ ...shown, src: prefsrc }).flatMap(([k, v]) => (v === undefined ? [] : [`${k} ${v}`]));
  return [dst, ...words].join(" ");
}

const without = (usual: string, value: unknown): unknown => (value === usual ? undefined : value);

function ruleText({ priority, src, srclen, table }: Json): string {
  return `${priority}: from ${src}${srclen === undefined ? "" : `/${srclen}`} lookup ${table}`;
}
