import { isIPv6 } from "../cni/protocol/ip.ts";

/** An address as a number, 32 or 128 bits wide. `ip` must be canonical, as canonicalIp() gives it. */
export function toNumber(ip: string): bigint {
  if (!isIPv6(ip)) return ip.split(".").reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  const [head = "", tail = ""] = ip.split("::");
  const groups = (part: string) => part.split(":").filter(Boolean);
  const zeros = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(zeros).fill("0"), ...groups(tail)];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** Whether an address lies in the network of another with its prefix length; both canonical. */
export function isInNetwork(ip: string, cidr: string): boolean {
  const [base = "", bits = ""] = cidr.split("/");
  if (isIPv6(ip) !== isIPv6(base)) return false;
  const shift = BigInt((isIPv6(base) ? 128 : 32) - Number(bits));
  return toNumber(ip) >> shift === toNumber(base) >> shift;
}
