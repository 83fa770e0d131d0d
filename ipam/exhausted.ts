import { CniError, CODE } from "../cni/protocol/error.ts";
import { toText } from "./address.ts";
import { cidrOf, type Range } from "./range.ts";

/** Nothing is left of a range: every address is taken or excluded. */
export class ExhaustedError extends CniError {
  readonly range: Range;

  constructor(range: Range) {
    const [from, to] = [range.first, range.last].map((value) => toText({ isV6: range.isV6, value }));
    super(
      CODE.INTERNAL,
      `cannot give an address of ${cidrOf(range)}: all from ${from} to ${to} are taken or excluded; ` +
        "make the range larger, or release some",
    );
    this.range = range;
  }
}
