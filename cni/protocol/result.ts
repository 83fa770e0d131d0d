import { CniError, CODE } from "./error.ts";
import { isCidr, isIPv6 } from "./ip.ts";

export interface Interface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly sandbox?: string;
  readonly socketPath?: string;
  readonly pciID?: string;
}
export interface IpConfig {
  readonly address: string;
  readonly gateway?: string;
  readonly interface?: number;
}
export interface Route {
  readonly dst: string;
  readonly gw?: string;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
}
export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}
/** A result in the form of spec 1.1.0, whatever version the caller speaks. */
export interface Result {
  readonly interfaces: readonly Interface[];
  readonly ips: readonly IpConfig[];
  readonly routes: readonly Route[];
  readonly dns: Dns;
}

export const emptyResult = (): Result => ({ interfaces: [], ips: [], routes: [], dns: {} });

/** The result of a chain so far, and our interface with its addresses behind it. */
export function mergeResult(
  previous: Result | undefined,
  ours: Interface,
  added: Result,
  dns: Dns | undefined,
): Result {
  const before = previous ?? emptyResult();
  const index = before.interfaces.length;
  return {
    interfaces: [...before.interfaces, ours],
    ips: [...before.ips, ...added.ips.map((ip) => ({ ...ip, interface: index }))],
    routes: [...before.routes, ...added.routes],
    dns: dns && Object.keys(dns).length > 0 ? dns : Object.keys(added.dns).length > 0 ? added.dns : before.dns,
  };
}

export function parseResult(json: unknown, version: string): Result {
  const r = json as Record<string, any>;
  if (typeof r !== "object" || r === null)
    throw new CniError(CODE.DECODING_FAILURE, "cannot read a result: it is no object");
  if (version === "0.1.0" || version === "0.2.0") {
    const old = [r.ip4, r.ip6].filter(Boolean);
    return {
      interfaces: [],
      ips: old.map((i) => ({ address: i.ip, ...(i.gateway && { gateway: i.gateway }) })),
      routes: old.flatMap((i) => i.routes ?? []),
      dns: r.dns ?? {},
    };
  }
  for (const ip of r.ips ?? [])
    if (!isCidr(ip.address ?? ""))
      throw new CniError(
        CODE.DECODING_FAILURE,
        `cannot read a result: address ${JSON.stringify(ip.address)} is not in CIDR notation`,
      );
  return {
    interfaces: r.interfaces ?? [],
    ips: (r.ips ?? []).map(({ version: _, ...ip }: any) => ip),
    routes: r.routes ?? [],
    dns: r.dns ?? {},
  };
}

export function formatResult({ interfaces, ips, routes, dns }: Result, cniVersion: string): object {
  const hasDns = Object.keys(dns).length > 0;
  if (cniVersion === "0.1.0" || cniVersion === "0.2.0") {
    const of = (v6: boolean) => {
      const ip = ips.find((i) => isIPv6(i.address) === v6);
      const own = routes.filter((r) => isIPv6(r.dst) === v6).map(({ dst, gw }) => ({ dst, ...(gw && { gw }) }));
      return (
        ip && { ip: ip.address, ...(ip.gateway && { gateway: ip.gateway }), ...(own.length > 0 && { routes: own }) }
      );
    };
    const [ip4, ip6] = [of(false), of(true)];
    if (!ip4 && !ip6) throw new CniError(999, "cannot convert: no valid IP addresses");
    return { cniVersion, ...(ip4 && { ip4 }), ...(ip6 && { ip6 }), dns };
  }
  const old = cniVersion.startsWith("0.");
  return {
    cniVersion,
    ...(interfaces.length > 0 && { interfaces }),
    ...(ips.length > 0 && { ips: ips.map((ip) => (old ? { version: isIPv6(ip.address) ? "6" : "4", ...ip } : ip)) }),
    ...(routes.length > 0 && { routes }),
    ...((hasDns || old) && { dns }),
  };
}
