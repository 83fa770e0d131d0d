import { CniError, CODE } from "../../cni/protocol/error.ts";
import { canonicalIp, isIPv6 } from "../../cni/protocol/ip.ts";
import { type Cidr, parseCidr, parseIp } from "../address.ts";

/** `2001:db8::/64` becomes `2001-db8---64`; pkg/storage/kubernetes/ipam.go. */
export const normalizeRange = (cidr: string): string => withZero(cidr).replace(/[:/]/g, "-");

/** Name of the IPPool of a range. @param nodeName only with `node_slice_size`: then the range is the node's slice. */
export const poolName = (networkName: string, nodeName: string, cidr: string): string =>
  [networkName, nodeName, normalizeRange(cidr)].filter(Boolean).join("-");

/**
 * The range of a network's pool (with node slices: a node's), the inverse of poolName(); undefined for the name of another
 * pool. A network that looks like the first group of an IPv6 address cannot be told from it: Whereabouts' names are
 * ambiguous.
 */
export function rangeOfPool(networkName: string, nodeName: string, name: string): Cidr | undefined {
  const prefix = [networkName, nodeName]
    .filter(Boolean)
    .map((part) => `${part}-`)
    .join("");
  if (!name.startsWith(prefix)) return undefined;
  const [, address = "", bits = ""] = /^([\da-f.-]+)-(\d+)$/.exec(name.slice(prefix.length)) ?? [];
  return parseCidr(`${address.includes(".") ? address : address.replaceAll("-", ":")}/${bits}`);
}

/** Name of the OverlappingRangeIPReservation of a canonical address. */
export const reservationName = (networkName: string, ip: string): string =>
  [networkName, withZero(ip).replaceAll(":", "-")].filter(Boolean).join("-");

/** The name that Deutsche Telekom's fork gives a reservation: IPv6 in full length, `fd00-0000-…-0001`. */
export function expandedReservationName(networkName: string, ip: string): string {
  if (!isIPv6(ip)) return reservationName(networkName, ip);
  const digits = parseIp(ip)!.value.toString(16).padStart(32, "0");
  return [networkName, ...digits.match(/.{4}/g)!].filter(Boolean).join("-");
}

/**
 * The canonical address of a network's reservation, from upstream's and the fork's names alike; undefined if the name
 * belongs to another network. An IPv6 address and a network that looks like its first group cannot be told apart
 * (`a-b--1`): Whereabouts' names are ambiguous.
 */
export function ipOfReservation(networkName: string, name: string): string | undefined {
  const prefix = networkName && `${networkName}-`;
  if (!name.startsWith(prefix)) return undefined;
  const rest = name.slice(prefix.length);
  return canonicalIp(rest.includes("-") ? withoutZeros(rest.replaceAll("-", ":")) : rest);
}

/** Name of the NodeSlicePool. @param name of the CNI network. */
export const slicePoolName = (networkName: string, name: string): string => networkName || name;

/**
 * @param at where the name comes from, for the message: `ipam.network_name "Rail0"`.
 * @throws {CniError} 7 for names that the API server would always refuse: uppercase, `_`, a leading `-`.
 */
export function requireObjectName(name: string, at: string): string {
  if (name.length <= 253 && SUBDOMAIN.test(name)) return name;
  const shown = name.length > 300 ? `${name.slice(0, 300)}…` : name;
  throw new CniError(
    CODE.INVALID_CONFIG,
    `cannot use ${at}: its object would be named ${JSON.stringify(shown)}, and Kubernetes takes lower case letters, ` +
      "digits, '-' and '.', with a letter or digit at both ends, 253 at most; set another ipam.network_name",
  );
}

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = new RegExp(`^${LABEL}(\\.${LABEL})*$`);

const withZero = (text: string): string => (text.endsWith(":") ? `${text}0` : text);
const withoutZeros = (text: string): string => text.replace(/(^|:)0+(?=[\da-f])/g, "$1");
