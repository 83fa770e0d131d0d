import { isIP, isIPv4, isIPv6 as isV6 } from "node:net";

/** Of an address with or without prefix length. */
export const isIPv6 = (address: string): boolean => isV6(address.split("/")[0]!);

/** An address with its prefix length; no leading zeros, which Go's parser refuses too. */
export function isCidr(text: string): boolean {
  const [ip = "", bits, ...more] = text.split("/");
  return (
    isIP(ip) !== 0 && more.length === 0 && /^(0|[1-9]\d*)$/.test(bits ?? "") && Number(bits) <= (isIPv4(ip) ? 32 : 128)
  );
}
