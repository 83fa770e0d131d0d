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

/** The addresses that one range of a configuration gives out. */
export interface Range {
  readonly isV6: boolean;
  /** Address of the network: host bits masked. */
  readonly network: bigint;
  readonly prefixBits: number;
  /** First and last address to give out: inside of the usable window, `range_start` and `range_end` applied. */
  readonly first: bigint;
  readonly last: bigint;
  /** `exclude`, sorted and merged. */
  readonly excluded: readonly Span[];
  /** `exclude` as it is written, for messages. */
  readonly excludeTexts?: readonly string[];
}

/** What the `range` of a configuration says. */
export interface RangeText {
  readonly network: Cidr;
  /** Only of the form `start-end/bits`. */
  readonly start?: Address;
  readonly end?: Address;
}

/** What narrows a range. Bounds outside of what can be given out are ignored, as Whereabouts does. */
export interface Bounds {
  readonly start?: Address | undefined;
  readonly end?: Address | undefined;
  /** Networks or single addresses; those of the other family exclude nothing. */
  readonly exclude?: readonly string[];
}

/**
 * Reads `network/bits` or `start-end/bits`, leading zeros allowed. Host bits are kept in `network`.
 *
 * @throws {CniError} 999 in Whereabouts' words.
 */
export function parseRange(text: string): RangeText {
  const dash = text.indexOf("-");
  if (dash < 0) {
    const network = parseCidr(text, { sloppy: true });
    if (!network) throw failed(`invalid CIDR ${text}: invalid CIDR address: ${text}`);
    return { network };
  }
  const [from, to] = [text.slice(0, dash), text.slice(dash + 1)];
  const start = parseIp(from, { sloppy: true });
  if (!start) throw failed(`invalid range start IP: ${from}`);
  const end = parseCidr(to, { sloppy: true });
  if (!end)
    throw failed(
      `invalid CIDR (do you have the 'range' parameter set for Whereabouts?) '${to}': invalid CIDR address: ${to}`,
    );
  if (start.isV6 !== end.isV6 || !inSpan(start.value, spanOf(end)))
    throw failed(`invalid range start for CIDR ${networkText(end)}: ${toText(start)}`);
  return { network: end, start, end };
}

/**
 * The addresses of a network between its own and its broadcast address, narrowed.
 *
 * @throws {CniError} 999 in Whereabouts' words: for /31, /32, /127 and /128, and for an exclude that is none.
 */
export function rangeOf(network: Cidr, { start, end, exclude = [] }: Bounds = {}): Range {
  const { isV6, prefixBits } = network;
  const whole = spanOf(network);
  if (widthOf(isV6) - prefixBits < 2) throw failed(tooSmall(network));
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

/** `net.IPNet` as Go prints it without its String(): address and mask in hexadecimal. */
function tooSmall(network: Cidr): string {
  const width = widthOf(network.isV6);
  const mask = ((1n << BigInt(network.prefixBits)) - 1n) << BigInt(width - network.prefixBits);
  const net = `{${toText({ isV6: network.isV6, value: spanOf(network).first })} ${mask.toString(16)}}`;
  return `net mask is too short, subnet ${net} has no usable IP addresses, it is too small`;
}

function parseExclude(text: string): Cidr {
  const ip = parseIp(text);
  const cidr = parseCidr(text) ?? (ip && { ...ip, prefixBits: widthOf(ip.isV6) });
  if (cidr) return cidr;
  throw failed(`could not parse exclude range, err: ${JSON.stringify(`invalid CIDR address: ${text}`)}`);
}

/** `network/bits`. */
export const cidrOf = ({ isV6, network, prefixBits }: Range): string =>
  `${toText({ isV6, value: network })}/${prefixBits}`;

/** The network as a span, its own address and the broadcast address included. */
const wholeOf = ({ isV6, network, prefixBits }: Range): Span => spanOf({ isV6, value: network, prefixBits });

/** Whether an address lies in the range's network, in or out of its bounds. */
export const contains = (range: Range, { isV6, value }: Address): boolean =>
  isV6 === range.isV6 && inSpan(value, wholeOf(range));

/** Why an address of any family can never be given out of this range; undefined when it can, in or out of its bounds. */
export function whyUnusable(range: Range, address: Address): string | undefined {
  const whole = wholeOf(range);
  if (!contains(range, address)) return `it is not in ${cidrOf(range)}`;
  if (address.value === whole.first) return `it is the address of the network ${cidrOf(range)} itself`;
  if (address.value === whole.last) return `it is the broadcast address of ${cidrOf(range)}`;
  return findSpan(range.excluded, address.value) && `it is excluded from ${cidrOf(range)}`;
}

const failed = (message: string): CniError => new CniError(CODE.INTERNAL, message);
