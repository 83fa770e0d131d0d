import { canonicalIp, isIPv6 } from "../cni/protocol/ip.ts";

// Not ip-cidr (4.0.2), which the tests use as a second opinion: loading it costs a stand-alone call 13-27 ms, parsing a
// CIDR 26-80 µs (this file: 1-8 µs); it takes `1:2.3.4.5/8` for 2.0.0.0/8, accepts zones, refuses `::1.2.3.4/96` and
// prints IPv6 addresses in full length.

/** An address as a number, 32 or 128 bits wide. */
export interface Address {
  readonly isV6: boolean;
  readonly value: bigint;
}

/** An address and its prefix length; host bits are kept. */
export interface Cidr extends Address {
  readonly prefixBits: number;
}

/** Addresses from `first` to `last`, both inclusive. */
export interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

interface ParseOptions {
  /** Allows leading zeros in decimal and hexadecimal groups, as Go did before 1.17 and Whereabouts does. */
  readonly sloppy?: boolean;
}

/** @returns undefined for anything but an address, as defined by canonicalIp(). */
export function parseIp(text: string, { sloppy = false }: ParseOptions = {}): Address | undefined {
  const ip = canonicalIp(sloppy ? withoutLeadingZeros(text) : text);
  return ip === undefined ? undefined : { isV6: isIPv6(ip), value: toNumber(ip) };
}

/** `address/bits`; the bits may have leading zeros, as in Go. */
export function parseCidr(text: string, options: ParseOptions = {}): Cidr | undefined {
  const [address = "", bits = "", ...more] = text.split("/");
  const ip = parseIp(address, options);
  if (!ip || more.length > 0 || !/^\d+$/.test(bits)) return undefined;
  return Number(bits) <= widthOf(ip.isV6) ? { ...ip, prefixBits: Number(bits) } : undefined;
}

const withoutLeadingZeros = (text: string): string => text.replace(/(?<![\da-fA-F])0+(?=[\da-fA-F])/g, "");

/** Bits of an address. */
export const widthOf = (isV6: boolean): number => (isV6 ? 128 : 32);

/** An address as a number, 32 or 128 bits wide. `ip` must be canonical, as canonicalIp() gives it. */
export function toNumber(ip: string): bigint {
  if (!isIPv6(ip)) return ip.split(".").reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
  const [head = "", tail = ""] = ip.split("::");
  const groups = (part: string) => part.split(":").filter(Boolean);
  const zeros = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(zeros).fill("0"), ...groups(tail)];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** The canonical text of an address, as canonicalIp() gives it. */
export function toText({ isV6, value }: Address): string {
  if (!isV6) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  const [from, length] = longestZeros(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, from).join(":")}::${groups.slice(from + length).join(":")}`;
}

/** The first of the longest runs, RFC 5952 section 4.2.3. */
function longestZeros(groups: readonly string[]): [from: number, length: number] {
  let [from, length] = [0, 0];
  for (let i = 0, run = 0; i < groups.length; i++) {
    run = groups[i] === "0" ? run + 1 : 0;
    if (run > length) [from, length] = [i + 1 - run, run];
  }
  return [from, length];
}

/** All addresses of a network, including its network and broadcast addresses. */
export function spanOf({ isV6, value, prefixBits }: Cidr): Span {
  const hostBits = BigInt(widthOf(isV6) - prefixBits);
  const first = (value >> hostBits) << hostBits;
  return { first, last: first + (1n << hostBits) - 1n };
}

/** The same network, host bits masked: `10.10.0.0/16`. */
export const networkText = (cidr: Cidr): string =>
  `${toText({ isV6: cidr.isV6, value: spanOf(cidr).first })}/${cidr.prefixBits}`;

export const inSpan = (value: bigint, { first, last }: Span): boolean => value >= first && value <= last;

/** Sorted; spans that overlap or touch are merged. */
export function mergeSpans(spans: readonly Span[]): Span[] {
  const merged: Span[] = [];
  for (const span of spans.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    const before = merged.at(-1);
    if (!before || span.first > before.last + 1n) merged.push(span);
    else if (span.last > before.last) merged[merged.length - 1] = { first: before.first, last: span.last };
  }
  return merged;
}

/** The span that contains `value`. @param spans as returned by mergeSpans(). */
export function findSpan(spans: readonly Span[], value: bigint): Span | undefined {
  const found = spans[firstAtOrAfter(spans, value)];
  return found && found.first <= value ? found : undefined;
}

/** Index of the first span that does not end before `value`; the length if all do. */
export function firstAtOrAfter(spans: readonly Span[], value: bigint): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle]!.last < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether an address is in the network of another with its prefix length; both canonical. */
export function isInNetwork(ip: string, cidr: string): boolean {
  const [base = "", bits = ""] = cidr.split("/");
  if (isIPv6(ip) !== isIPv6(base)) return false;
  const shift = BigInt(widthOf(isIPv6(base)) - Number(bits));
  return toNumber(ip) >> shift === toNumber(base) >> shift;
}
