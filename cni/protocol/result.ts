import { CniError, CODE } from "./error.ts";
import { isIPv6 } from "./ip.ts";
import { resultForm } from "./version.ts";

export interface Interface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly sandbox?: string;
  readonly socketPath?: string;
  readonly pciID?: string;
}
export interface IpConfig {
  /** With prefix length; host bits are kept. */
  readonly address: string;
  readonly gateway?: string;
  /** Index into the interfaces of the same result. */
  readonly interface?: number;
  /** Our IPAM's message to our attach plugin, in no specification: probe the rail for another owner. */
  readonly probe?: boolean;
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
/** A result in the form of spec 1.1.0, whatever version the caller uses. Addresses are canonical. */
export interface Result {
  readonly interfaces: readonly Interface[];
  readonly ips: readonly IpConfig[];
  readonly routes: readonly Route[];
  readonly dns: Dns;
}

export const emptyResult = (): Result => ({ interfaces: [], ips: [], routes: [], dns: {} });

/**
 * The result of the chain so far, followed by our interface and its addresses (SPEC.md, "ADD Success").
 *
 * @param dns from the configuration: wins over that of `added`, which wins over that of `previous`.
 */
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
    ips: [...before.ips, ...added.ips.map(({ probe: _, ...ip }) => ({ ...ip, interface: index }))],
    routes: [...before.routes, ...added.routes],
    dns: [dns, added.dns].find((d) => d && Object.keys(d).length > 0) ?? before.dns,
  };
}

/**
 * A result as printed for a caller's version: the members that libcni prints there, so that a peer's output and ours can
 * be compared.
 *
 * @throws {CniError} 999 when 0.1.0 or 0.2.0 cannot express it, without an address; 1 for an unknown version.
 */
export function formatResult(result: Result, cniVersion: string): object {
  const form = resultForm(cniVersion);
  return { cniVersion, ...(form === "families" ? byFamily(result) : asLists(result, form)) };
}

function asLists({ interfaces, ips, routes, dns }: Result, form: "labelled" | "plain"): object {
  const labelled = form === "labelled";
  return {
    ...(interfaces.length > 0 && { interfaces: labelled ? interfaces.map(nameMacSandbox) : interfaces }),
    ...(ips.length > 0 && { ips: labelled ? ips.map(withFamily) : ips }),
    ...(routes.length > 0 && { routes }),
    ...((labelled || Object.keys(dns).length > 0) && { dns }),
  };
}

const nameMacSandbox = ({ name, mac, sandbox }: Interface): Interface => ({
  name,
  ...(mac && { mac }),
  ...(sandbox && { sandbox }),
});

const withFamily = (ip: IpConfig): object => ({ version: isIPv6(ip.address) ? "6" : "4", ...ip });

/** The reference library's words, which people search for, and what to do. */
const cannotSay = (): CniError =>
  new CniError(
    CODE.INTERNAL,
    "cannot convert: no valid IP addresses: cniVersion 0.1.0, which is meant when there is none, and 0.2.0 cannot describe an interface" +
      ' without addresses; set "cniVersion" to 0.3.1 or newer in the network configuration, or give it "ipam"',
  );

/** @throws {CniError} 999 as {@link formatResult}, before anything is done, if there will be no address. */
export function checkSayable(cniVersion: string, hasAddresses: boolean): void {
  if (!hasAddresses && resultForm(cniVersion) === "families") throw cannotSay();
}

/** There is room only for the first address of a family; a route goes to its family if that has an address. */
function byFamily({ ips, routes, dns }: Result): object {
  const family = (v6: boolean) => {
    const first = ips.find((ip) => isIPv6(ip.address) === v6);
    const own = routes.filter((r) => isIPv6(r.dst) === v6).map(({ dst, gw }) => ({ dst, ...(gw && { gw }) }));
    if (!first) return undefined;
    const { address: ip, gateway } = first;
    return { ip, ...(gateway && { gateway }), ...(own.length > 0 && { routes: own }) };
  };
  const [ip4, ip6] = [family(false), family(true)];
  if (!ip4 && !ip6) throw cannotSay();
  return { ...(ip4 && { ip4 }), ...(ip6 && { ip6 }), dns };
}
