// Without node:net, which would cost a stand-alone call 2 ms to load.
const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** For an address with or without prefix length. */
export const isIPv6 = (address: string): boolean => address.includes(":");

/**
 * An address as the kernel prints it (RFC 5952: lower case, the longest run of zeros shortened), so that texts can be
 * compared. Undefined for anything else: leading zeros (Go's parser refuses them too), zones, and IPv4-mapped IPv6
 * addresses, which peers take for either family.
 */
export function canonicalIp(text: string): string | undefined {
  if (IPV4.test(text)) return text;
  if (!isIPv6(text) || !/^[\da-fA-F:.]*$/.test(text)) return undefined;
  const canonical = URL.parse(`http://[${text}]/`)?.hostname.slice(1, -1);
  return canonical && /^::ffff:[\da-f]+:[\da-f]+$/.test(canonical) ? undefined : canonical;
}

/** Like canonicalIp(), for an address and its prefix length. Host bits are kept. */
export function canonicalCidr(text: string): string | undefined {
  const [address = "", bits = "", ...more] = text.split("/");
  const ip = canonicalIp(address);
  if (ip === undefined || more.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(bits)) return undefined;
  return Number(bits) <= (isIPv6(ip) ? 128 : 32) ? `${ip}/${bits}` : undefined;
}
