import { CniError, CODE } from "../../cni/protocol/error.ts";
import { type Address, networkText, parseIp } from "../address.ts";
import { candidates } from "../allocate.ts";
import type { PoolRange } from "../pool-range.ts";
import { type Bounds, cidrOf, parseRange, type Range, type RangeText, rangeOf } from "../range.ts";
import { readingRange } from "./failure.ts";
import type { IpamFields, RangeFields } from "./fields.ts";
import { poolName, requireObjectName } from "./names.ts";
import { withinKeys } from "./record-keys.ts";

/** A range of the configuration, its texts read. */
export interface ReadRange extends Bounds {
  readonly text: RangeText;
}

/**
 * The ranges in the order of the result: `range` with its fields beside it, then `ipRanges`. Only toPoolRange() checks
 * `exclude` and whether anything is left, as in Whereabouts.
 *
 * @throws {CniError} 999 in Whereabouts' words.
 */
export function readRanges(fields: IpamFields): ReadRange[] {
  const { range, range_start, range_end, exclude = [], ipRanges = [] } = fields;
  // The old fields are read with leading zeros, and invalid addresses there are silently ignored.
  const bounds = { start: sloppy(range_start), end: sloppy(range_end), exclude };
  const own = range ? [readRange(range, bounds)] : [];
  return [...own, ...ipRanges.map((entry) => readRange(entry.range ?? "", strictBounds(entry)))];
}

function readRange(range: string, bounds: Bounds): ReadRange {
  const text = readingRange(() => parseRange(range));
  return { ...bounds, text, ...(text.start && { start: text.start, end: text.end }) };
}

const sloppy = (ip = ""): Address | undefined => parseIp(ip, { sloppy: true });

function strictBounds({ range_start, range_end, exclude = [] }: RangeFields): Bounds {
  return {
    start: range_start ? parseIp(range_start) : undefined,
    end: range_end ? parseIp(range_end) : undefined,
    exclude,
  };
}

/**
 * Refuses the texts that Go's decoder refuses before anything else is checked.
 *
 * @param where the words before "JSON Parsing Error".
 * @param bytes the whole text that was decoded, which Whereabouts shows.
 * @throws {CniError} 999 in Whereabouts' words.
 */
export function requireAddresses({ ipRanges = [], addresses = [] }: IpamFields, where: string, bytes: string): void {
  const given = [...ipRanges.flatMap((r) => [r.range_start, r.range_end]), ...addresses.map((a) => a.gateway)];
  const odd = given.find((ip) => ip !== undefined && !parseIp(ip));
  if (odd !== undefined)
    throw new CniError(CODE.INTERNAL, `${where} - JSON Parsing Error: invalid IP address: ${odd} / bytes: ${bytes}`);
}

/** What all ranges of a configuration have in common. */
export interface RangeSettings {
  readonly network: string;
  readonly overlapping: boolean;
  /** With `exclude_gateway`. */
  readonly excludeGateway?: string;
  /** Whether addresses are recorded in an IPPool, by their offset. */
  readonly recorded: boolean;
  /** Whether the first range is divided into slices: each has its own pool, whose keys count from its own base. */
  readonly sliced: boolean;
}

/** @throws {CniError} 999 in Whereabouts' words, 7 for what only we refuse. */
export function toPoolRange({ text, start, end, exclude = [] }: ReadRange, settings: RangeSettings, i = 0): PoolRange {
  const { network, overlapping, excludeGateway, recorded, sliced } = settings;
  const cidr = networkText(text.network);
  const name = requireObjectName(poolName(network, "", cidr), `range ${cidr}${network && ` of network ${network}`}`);
  const excludes = [...exclude, ...(excludeGateway ? [excludeGateway] : [])];
  // Whereabouts sees these only when it allocates, and says so.
  const range = readingRange(
    () => rangeOf(text.network, { start, end, exclude: excludes }),
    "error at storage engine: ",
  );
  return {
    pool: { name, cidr, network, overlapping },
    range: recorded && !(sliced && i === 0) ? recordable(range) : range,
  };
}

/** Without the addresses whose offset Whereabouts cannot read: it removes such records, and gives the address out again. */
function recordable(range: Range): Range {
  const within = withinKeys(range);
  if (within === range || !candidates(within, () => false).next().done) return within;
  throw new CniError(
    CODE.INVALID_CONFIG,
    `cannot use range ${cidrOf(range)}: its addresses are more than 2^63 after ${cidrOf(range).split("/")[0]}, and ` +
      "Whereabouts' records end there; use a range that starts nearer to its first address",
  );
}
