import t from "tap";
import { ExhaustedError } from "../../../ipam/exhausted.ts";
import { parseRange, rangeOf } from "../../../ipam/range.ts";
import { exhausted } from "../../../ipam/whereabouts/failure.ts";

for (const [cidr, exclude, text] of [
  ["10.0.0.0/30", ["10.0.0.9/32"], "ip: 10.0.0.1 / - 10.0.0.2 / range: 10.0.0.0/30 / excludeRanges: [10.0.0.9/32]"],
  [
    "fd00::/126",
    ["fd00::1", "fd00::2"],
    "ip: fd00::1 / - fd00::2 / range: fd00::/126 / excludeRanges: [fd00::1 fd00::2]",
  ],
  ["fd00::/126", [], "ip: fd00::1 / - fd00::2 / range: fd00::/126 / excludeRanges: []"],
] as const)
  t.test(`exhausted() says it in Whereabouts' words: ${cidr}, ${exclude.length} excludes`, async (t) => {
    const cause = new ExhaustedError(rangeOf(parseRange(cidr).network, { exclude }));
    t.match(exhausted(cause), {
      code: 999,
      message: `error at storage engine: Could not allocate IP in range: ${text}`,
    });
    t.notMatch(cause.message, /storage engine|Whereabouts/i, "the allocator's own words");
  });
