import { CniError, CODE } from "../../cni/protocol/error.ts";
import { type Cidr, networkText, spanOf, toText, widthOf } from "../address.ts";
import type { ExhaustedError } from "../exhausted.ts";
import { cidrOf, type RangeFault, RangeTextError } from "../range.ts";

/** Nothing is left of a range, in Whereabouts' words, which people search for. */
export function exhausted(cause: ExhaustedError): CniError {
  const { isV6, first, last, excludeTexts = [] } = cause.range;
  const [from, to] = [first, last].map((value) => toText({ isV6, value }));
  return new CniError(
    cause.code,
    "error at storage engine: Could not allocate IP in range: " +
      `ip: ${from} / - ${to} / range: ${cidrOf(cause.range)} / excludeRanges: [${excludeTexts.join(" ")}]`,
    { cause },
  );
}

/** Reads a range; faults are reported in Whereabouts' words. @param prefix what Whereabouts says before them. */
export function readingRange<T>(read: () => T, prefix = ""): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof RangeTextError)) throw cause;
    throw new CniError(CODE.INTERNAL, `${prefix}${wordsOf(cause.fault)}`, { cause });
  }
}

/** Texts of pkg/config/config.go, pkg/iphelpers and pkg/allocate, v0.9.4. */
function wordsOf(fault: RangeFault): string {
  switch (fault.kind) {
    case "network":
      return `invalid CIDR ${fault.text}: invalid CIDR address: ${fault.text}`;
    case "start":
      return `invalid range start IP: ${fault.text}`;
    case "end":
      return `invalid CIDR (do you have the 'range' parameter set for Whereabouts?) '${fault.text}': invalid CIDR address: ${fault.text}`;
    case "exclude":
      return `could not parse exclude range, err: ${JSON.stringify(`invalid CIDR address: ${fault.text}`)}`;
    case "outside":
      return `invalid range start for CIDR ${networkText(fault.network)}: ${toText(fault.start)}`;
    case "small":
      return `net mask is too short, subnet ${goText(fault.network)} has no usable IP addresses, it is too small`;
  }
}

/** `net.IPNet` as Go prints it without its String(): address and mask in hexadecimal. */
function goText(network: Cidr): string {
  const width = widthOf(network.isV6);
  const mask = ((1n << BigInt(network.prefixBits)) - 1n) << BigInt(width - network.prefixBits);
  return `{${toText({ isV6: network.isV6, value: spanOf(network).first })} ${mask.toString(16)}}`;
}
