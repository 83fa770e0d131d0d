import { CniError, CODE } from "../../cni/protocol/error.ts";
import { canonicalIp, isIPv6 } from "../../cni/protocol/ip.ts";
import type { Call } from "../../cni/protocol/request.ts";
import type { IpConfig } from "../../cni/protocol/result.ts";
import { type Cidr, inSpan, parseCidr, parseIp, spanOf, toText } from "../address.ts";
import type { AddressFields } from "./fields.ts";

interface Fixed {
  readonly cidr: Cidr;
  readonly gateway?: string;
}

/**
 * Addresses of the result that no pool knows: `addresses`, followed by those of CNI_ARGS `IP`. Each of CNI_ARGS `GATEWAY`
 * is the gateway of every one whose network it is in.
 *
 * @param asked what CNI_ARGS `IP` says, without what is in a range.
 * @throws {CniError} 999 in Whereabouts' words.
 */
export function readFixed(addresses: readonly AddressFields[], asked: readonly string[], call: Call): IpConfig[] {
  const configured = addresses.map(({ address, gateway }) => ({
    cidr: parse(address, `invalid CIDR in addresses ${address}`),
    ...(gateway && { gateway: canonicalIp(gateway)! }),
  }));
  const all: Fixed[] = [...configured, ...asked.map((ip) => ({ cidr: parse(ip, `invalid CIDR ${ip}`) }))];
  const gateways = splitArg(call.args["GATEWAY"]).map(parseGateway);
  const fixed = all.map((one) => toIpConfig(one, gateways));
  refuseSecondOfFamily(fixed, call.config.cniVersion);
  return fixed;
}

/** The valid ones of `addresses`, canonical. */
export const ipsOf = (addresses: readonly AddressFields[]): string[] =>
  addresses.flatMap(({ address }) => toTextOf(parseCidr(address, { sloppy: true })));

const toTextOf = (cidr: Cidr | undefined): string[] => (cidr ? [toText(cidr)] : []);

/** A comma-separated value of CNI_ARGS; an empty one is absent, an empty part is not. */
export const splitArg = (value = ""): string[] => (value === "" ? [] : value.split(",").map((item) => item.trim()));

function parse(text: string, invalid: string): Cidr {
  const cidr = parseCidr(text, { sloppy: true });
  if (!cidr) throw new CniError(CODE.INTERNAL, `${invalid}: invalid CIDR address: ${text}`);
  return cidr;
}

function parseGateway(text: string) {
  const gateway = parseIp(text, { sloppy: true });
  if (!gateway) throw new CniError(CODE.INTERNAL, `invalid gateway address: ${text}`);
  return gateway;
}

function toIpConfig({ cidr, gateway: own }: Fixed, gateways: readonly ReturnType<typeof parseGateway>[]): IpConfig {
  const within = gateways.filter((gw) => gw.isV6 === cidr.isV6 && inSpan(gw.value, spanOf(cidr))).at(-1);
  const gateway = within ? toText(within) : own;
  return { address: `${toText(cidr)}/${cidr.prefixBits}`, ...(gateway && { gateway }) };
}

function refuseSecondOfFamily(fixed: readonly IpConfig[], version: string): void {
  if (version !== "0.1.0" && version !== "0.2.0") return;
  const v6 = fixed.filter(({ address }) => isIPv6(address)).length;
  if (v6 > 1 || fixed.length - v6 > 1)
    throw new CniError(CODE.INTERNAL, `CNI version ${version} does not support more than 1 address per family`);
}
