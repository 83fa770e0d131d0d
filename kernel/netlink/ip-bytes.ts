// No node:net here: loading it adds 1 to 3 ms to a plugin call's start-up.

/** Whether an address, with or without a prefix length, looks like IPv6. */
export const isIPv6 = (address: string): boolean => address.includes(":");

/**
 * Network byte order: 4 or 16 bytes.
 *
 * @throws {Error} unless it is an IP address.
 */
export function ipBytes(ip: string): Buffer {
  const bytes = isIPv6(ip) ? v6Bytes(ip) : v4Bytes(ip);
  if (!bytes) throw new Error(`cannot use ${JSON.stringify(ip)}: it is not an IP address`);
  return bytes;
}

/** The parts of `10.0.0.5/24`; without a length, all bits count. */
export function splitCidr(cidr: string): { readonly ip: string; readonly bytes: Buffer; readonly bits: number } {
  const [ip = "", length, ...more] = cidr.split("/");
  const bytes = ipBytes(ip);
  const bits = length === undefined ? bytes.length * 8 : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (more.length > 0 || bits < 0 || bits > bytes.length * 8)
    throw new Error(`cannot use ${JSON.stringify(cidr)}: it is not an address with a prefix length`);
  return { ip, bytes, bits };
}

/** Canonical text, RFC 5952 for IPv6: the first longest run of zero groups becomes `::`. */
export function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const text = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(":");
  const longest = [...text.matchAll(/(?<![^:])0(:0)+(?![^:])/g)].sort((a, b) => b[0].length - a[0].length)[0];
  if (!longest) return text;
  return `${text.slice(0, longest.index).replace(/:$/, "")}::${text.slice(longest.index + longest[0].length).replace(/^:/, "")}`;
}

/** The network of an address: `10.0.0.5/24` is in `10.0.0.0/24`. */
export function networkOf(cidr: string): string {
  const { bytes, bits } = splitCidr(cidr);
  for (let i = 0; i < bytes.length; i++) bytes[i]! &= (0xff00 >> Math.max(0, Math.min(8, bits - i * 8))) & 0xff;
  return `${ipText(bytes)}/${bits}`;
}

function v4Bytes(ip: string): Buffer | undefined {
  const parts = ip.split(".");
  const isByte = (part: string) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255;
  return parts.length === 4 && parts.every(isByte) ? Buffer.from(parts.map(Number)) : undefined;
}

function v6Bytes(ip: string): Buffer | undefined {
  const halves = ip.split("::");
  const [left, right] = [groups(halves[0]!, halves.length === 1), groups(halves[1] ?? "", true)];
  if (halves.length > 2 || !left || !right) return undefined;
  const zeros = 8 - left.length - right.length;
  if (halves.length === 1 ? zeros !== 0 : zeros < 1) return undefined;
  const bytes = Buffer.alloc(16);
  [...left, ...Array<number>(zeros).fill(0), ...right].forEach((group, i) => void bytes.writeUInt16BE(group, i * 2));
  return bytes;
}

/** @param isEnd whether an IPv4 address may stand for the last two groups: `::ffff:10.0.0.1`. */
function groups(text: string, isEnd: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const tail = isEnd && parts.at(-1)!.includes(".") ? v4Bytes(parts.pop()!) : Buffer.alloc(0);
  if (!tail || !parts.every((part) => /^[0-9a-f]{1,4}$/i.test(part))) return undefined;
  const last = tail.length > 0 ? [tail.readUInt16BE(0), tail.readUInt16BE(2)] : [];
  return [...parts.map((part) => Number.parseInt(part, 16)), ...last];
}
