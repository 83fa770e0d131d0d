import { CniError, CODE } from "../cni/protocol/error.ts";
import {
  type Address,
  type Cidr,
  findSpan,
  inSpan,
  mergeSpans,
  networkText,
  parseCidr,
  parseIp,
  type Span,
  spanOf,
  toText,
  widthOf,
} from "./address.ts";

export type { Span } from "./address.ts";

/** The addresses that one range of a configuration yields. */
export interface Range {
  readonly isV6: boolean;
  /** Address of the network: host bits masked. */
  readonly network: bigint;
  readonly prefixBits: number;
  /** First and last address to assign: inside the usable window, with `range_start` and `range_end` applied. */
  readonly first: bigint;
  readonly last: bigint;
  /** `exclude`, sorted and merged. */
  readonly excluded: readonly Span[];
  /** `exclude` as written, for messages. */
  readonly excludeTexts?: readonly string[];
}

/** A configuration's `range`, parsed. */
export interface RangeText {
  readonly network: Cidr;
  /** Only of the form `start-end/bits`. */
  readonly start?: Address;
  readonly end?: Address;
}

/** What narrows a range. Bounds outside the usable window are ignored, as Whereabouts does. */
export interface Bounds {
  readonly start?: Address | undefined;
  readonly end?: Address | undefined;
  /** Networks or single addresses; those of the other family exclude nothing. */
  readonly exclude?: readonly string[];
}

/** What is wrong with the text of a range. */
export type RangeFault =
  | { readonly kind: "network" | "start" | "end" | "exclude"; readonly text: string }
  | { readonly kind: "outside"; readonly start: Address; readonly network: Cidr }
  | { readonly kind: "small"; readonly network: Cidr };

/** A range that cannot be used. `fault` says why for callers that have their own wording. */
export class RangeTextError extends CniError {
  readonly fault: RangeFault;

  constructor(fault: RangeFault) {
    super(CODE.INVALID_CONFIG, describe(fault));
    this.fault = fault;
  }
}

function describe(fault: RangeFault): string {
  switch (fault.kind) {
    case "network":
      return `cannot use range ${JSON.stringify(fault.text)}: want network/bits, such as 10.0.0.0/24, or first-last/bits`;
    case "start":
      return `cannot use ${JSON.stringify(fault.text)} as the first address of a range: want an IP address`;
    case "end":
      return `cannot use ${JSON.stringify(fault.text)} as the last address of a range: want address/bits, such as 10.0.0.9/24`;
    case "exclude":
      return `cannot exclude ${JSON.stringify(fault.text)}: want an address or network/bits`;
    case "outside":
      return `cannot use a range that starts with ${toText(fault.start)}: it is not in ${networkText(fault.network)}`;
    case "small":
      return `cannot use range ${networkText(fault.network)}: between its network and broadcast address there is none to give out`;
  }
}

/**
 * Reads `network/bits` or `first-last/bits`, leading zeros allowed. Host bits are kept in `network`.
 *
 * @throws {RangeTextError}
 */
export function parseRange(text: string): RangeText {
  const dash = text.indexOf("-");
  if (dash < 0) {
    const network = parseCidr(text, { sloppy: true });
    if (!network) throw new RangeTextError({ kind: "network", text });
    return { network };
  }
  const [from, to] = [text.slice(0, dash), text.slice(dash + 1)];
  const start = parseIp(from, { sloppy: true });
  if (!start) throw new RangeTextError({ kind: "start", text: from });
  const network = parseCidr(to, { sloppy: true });
  if (!network) throw new RangeTextError({ kind: "end", text: to });
  if (start.isV6 !== network.isV6 || !inSpan(start.value, spanOf(network)))
    throw new RangeTextError({ kind: "outside", start, network });
  return { network, start, end: network };
}

/**
 * The range of a text, `network/bits` or `first-last/bits`, within its bounds.
 *
 * @throws {RangeTextError}
 */
export function rangeFrom(text: string, { exclude = [] }: Pick<Bounds, "exclude"> = {}): Range {
  const { network, start, end } = parseRange(text);
  return rangeOf(network, { start, end, exclude });
}

/**
 * The addresses between a network's own and its broadcast address, narrowed.
 *
 * @throws {RangeTextError} for /31, /32, /127 and /128, and for an invalid exclude.
 */
export function rangeOf(network: Cidr, { start, end, exclude = [] }: Bounds = {}): Range {
  const { isV6, prefixBits } = network;
  const whole = spanOf(network);
  if (!hasHosts(network)) throw new RangeTextError({ kind: "small", network });
  let usable: Span = { first: whole.first + 1n, last: whole.last - 1n };
  if (start?.isV6 === isV6 && inSpan(start.value, usable)) usable = { first: start.value, last: usable.last };
  if (end?.isV6 === isV6 && inSpan(end.value, usable)) usable = { first: usable.first, last: end.value };
  const excluded = exclude.map(parseExclude).filter((cidr) => cidr.isV6 === isV6);
  return {
    isV6,
    network: whole.first,
    prefixBits,
    ...usable,
    excluded: mergeSpans(excluded.map(spanOf)),
    excludeTexts: exclude,
  };
}

/** How many addresses a range yields: those in its bounds that are not excluded. */
export function countOf({ first, last, excluded }: Range): bigint {
  const within = excluded.map((span) => ({
    first: span.first > first ? span.first : first,
    last: span.last < last ? span.last : last,
  }));
  return within.reduce(
    (left, span) => (span.last < span.first ? left : left - (span.last - span.first + 1n)),
    last - first + 1n,
  );
}

/** Whether a network has addresses besides its own and the broadcast address. */
export const hasHosts = ({ isV6, prefixBits }: Cidr): boolean => widthOf(isV6) - prefixBits >= 2;

function parseExclude(text: string): Cidr {
  const ip = parseIp(text);
  const cidr = parseCidr(text) ?? (ip && { ...ip, prefixBits: widthOf(ip.isV6) });
  if (cidr) return cidr;
  throw new RangeTextError({ kind: "exclude", text });
}

/** `network/bits`. */
export const cidrOf = ({ isV6, network, prefixBits }: Range): string =>
  `${toText({ isV6, value: network })}/${prefixBits}`;

/** The network as a span, including its own and the broadcast address. */
const wholeOf = ({ isV6, network, prefixBits }: Range): Span => spanOf({ isV6, value: network, prefixBits });

/** Whether an address is in the range's network, inside or outside its bounds. */
export const contains = (range: Range, { isV6, value }: Address): boolean =>
  isV6 === range.isV6 && inSpan(value, wholeOf(range));

/** Why an address of any family can never be assigned from this range; undefined if it can, inside or outside its bounds. */
export function whyUnusable(range: Range, address: Address): string | undefined {
  const whole = wholeOf(range);
  if (!contains(range, address)) return `it is not in ${cidrOf(range)}`;
  if (address.value === whole.first) return `it is the address of the network ${cidrOf(range)} itself`;
  if (address.value === whole.last) return `it is the broadcast address of ${cidrOf(range)}`;
  return findSpan(range.excluded, address.value) && `it is excluded from ${cidrOf(range)}`;
}
