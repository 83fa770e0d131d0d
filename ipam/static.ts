import { list, record, text } from "../cni/protocol/decode.ts";
import { CniError, CODE } from "../cni/protocol/error.ts";
import { canonicalCidr, canonicalIp, isIPv6 } from "../cni/protocol/ip.ts";
import { spelling } from "../cni/protocol/keys.ts";
import type { Call } from "../cni/protocol/request.ts";
import type { IpConfig, Result } from "../cni/protocol/result.ts";
import { parseResult } from "../cni/protocol/result-parse.ts";
import { isInNetwork } from "./address.ts";

/** 999, like the plugin's own errors. */
const FAILED = 999;

interface Given {
  readonly address: string;
  readonly gateway?: string;
}

const spellIpam = spelling("addresses", "routes", "dns");

/**
 * The CNI plugins' `static` IPAM (plugins/ipam/static/main.go, v1.9.1) in this process: it keeps no state, so its ADD only
 * reads the configuration, and an exec per rail and verb is saved. Addresses come from these, later ones replacing earlier
 * ones: `ipam.addresses` followed by those of CNI_ARGS `IP` and `GATEWAY`, `args.cni.ips`, `runtimeConfig.ips`.
 *
 * @throws {CniError} 999, with the plugin's own words where it has some.
 */
export function addStatic(call: Call): Result {
  const { config } = call;
  const ipam = spellIpam(config.ipam ?? {});
  const ips = given(call, readAddresses(ipam.addresses, "ipam.addresses") ?? []).map(toIpConfig);
  if (ips.length === 0) throw new CniError(FAILED, "IPAM plugin returned missing IP config");
  refuseSecondOfFamily(ips, config.cniVersion);
  const { routes, dns } = parseResult({ ips: [], routes: ipam.routes ?? [], dns: ipam.dns ?? {} }, "1.1.0", "ipam");
  return { interfaces: [], ips, routes, dns };
}

/** CHECK: prevResult still has every configured address. */
export function checkStatic(call: Call): void {
  const there = new Set(call.prevResult?.ips.map((ip) => ip.address));
  const missing = addStatic(call).ips.find((ip) => !there.has(ip.address));
  if (missing) throw new CniError(FAILED, `static: Failed to find addresses: ${missing.address} is not in prevResult`);
}

function given({ config, args }: Call, configured: readonly Given[]): Given[] {
  const asked = lists(config.runtimeConfig?.["ips"]) ?? lists(config.args?.cni?.["ips"]);
  if (asked) return asked.map((address) => ({ address }));
  const extra = words(args["IP"]).map((address) => ({ address }));
  const gateways = words(args["GATEWAY"]);
  return [...configured, ...extra].map((entry) => ({ ...entry, ...gatewayOf(entry, gateways) }));
}

const readAddresses = list(record<Given>({ address: (value, at) => text(value, at) ?? "", gateway: text }));

const words = (args = ""): string[] =>
  args
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean);
const lists = (value: unknown): string[] | undefined =>
  Array.isArray(value) && value.length > 0 ? value.map(String) : undefined;

/** The last gateway of CNI_ARGS that is in the address's network. */
function gatewayOf({ address }: Given, gateways: readonly string[]): { gateway?: string } {
  const cidr = canonicalCidr(address);
  const gateway = gateways.filter((gw) => cidr && canonicalIp(gw) === gw && isInNetwork(gw, cidr)).at(-1);
  return gateway ? { gateway } : {};
}

function toIpConfig({ address: given, gateway: via }: Given): IpConfig {
  const address = canonicalCidr(given);
  if (!address) throw new CniError(FAILED, `the 'address' field is expected to be in CIDR notation, got: '${given}'`);
  if (!via) return { address };
  const gateway = canonicalIp(via);
  if (!gateway)
    throw new CniError(CODE.INVALID_CONFIG, `cannot use ipam gateway ${JSON.stringify(via)}: want an IP address`);
  return { address, gateway };
}

function refuseSecondOfFamily(ips: readonly IpConfig[], version: string): void {
  if (version !== "0.1.0" && version !== "0.2.0") return;
  const v6 = ips.filter((ip) => isIPv6(ip.address)).length;
  if (v6 > 1 || ips.length - v6 > 1)
    throw new CniError(FAILED, `CNI version ${version} does not support more than 1 address per family`);
}
