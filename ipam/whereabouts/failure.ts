import { CniError } from "../../cni/protocol/error.ts";
import { toText } from "../address.ts";
import type { ExhaustedError } from "../exhausted.ts";
import { cidrOf } from "../range.ts";

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
