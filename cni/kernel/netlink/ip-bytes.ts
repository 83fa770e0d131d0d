import { isIPv6 } from "node:net";

/** Network byte order: 4 or 16 bytes. */
export function ipBytes(ip: string): Buffer {
  if (!isIPv6(ip)) return Buffer.from(ip.split(".").map(Number));
  const [head = "", tail] = expandV4(ip).split("::");
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = tail === undefined ? [] : Array<number>(8 - left.length - right.length).fill(0);
  const bytes = Buffer.alloc(16);
  [...left, ...zeros, ...right].forEach((group, i) => void bytes.writeUInt16BE(group, i * 2));
  return bytes;
}

/** Canonical text, RFC 5952 for IPv6: the first longest run of zero groups becomes `::`. */
export function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const text = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(":");
  const longest = [...text.matchAll(/(?<![^:])0(:0)+(?![^:])/g)].sort((a, b) => b[0].length - a[0].length)[0];
  if (!longest) return text;
  return `${text.slice(0, longest.index).replace(/:$/, "")}::${text.slice(longest.index + longest[0].length).replace(/^:/, "")}`;
}

const groups = (part: string): number[] => (part ? part.split(":").map((g) => Number.parseInt(g, 16)) : []);

/** `::ffff:10.0.0.1` as `::ffff:a00:1`. */
function expandV4(ip: string): string {
  return ip.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a, b, c, d) => `${((+a << 8) | +b).toString(16)}:${((+c << 8) | +d).toString(16)}`,
  );
}

/** The network of an address: `10.0.0.5/24` is in `10.0.0.0/24`. */
export function networkOf(cidr: string): string {
  const [ip = "", bits = "32"] = cidr.split("/");
  const size = isIPv6(ip) ? 16 : 4;
  const bytes = ipBytes(ip);
  for (let i = 0; i < size; i++) bytes[i]! &= (0xff00 >> Math.max(0, Math.min(8, Number(bits) - i * 8))) & 0xff;
  return `${ipText(bytes)}/${bits}`;
}
