import { isIP, isIPv4, isIPv6 as isV6 } from "node:net";

/** Of an address with or without prefix length. */
export const isIPv6 = (address: string): boolean => isV6(address.split("/")[0]!);

/**
 * An address as the kernel prints it (RFC 5952: lower case, the longest run of zeros shortened), so that texts can be
 * compared. Undefined for what is none: leading zeros (Go's parser refuses them too), zones, and IPv4 in IPv6 clothes,
 * which peers take for either family.
 */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (isIP(text) === 0 || text.includes("%")) return undefined;
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  return /^::ffff:[\da-f]+:[\da-f]+$/.test(canonical) ? undefined : canonical;
}

/** As canonicalIp(), for an address and its prefix length. Host bits stay. */
export function canonicalCidr(text: string): string | undefined {
  const [address = "", bits = "", ...more] = text.split("/");
  const ip = canonicalIp(address);
  if (ip === undefined || more.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(bits)) return undefined;
  return Number(bits) <= (isIPv4(ip) ? 32 : 128) ? `${ip}/${bits}` : undefined;
}
