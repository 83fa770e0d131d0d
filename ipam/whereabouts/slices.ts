import { CniError, CODE } from "../../cni/protocol/error.ts";
import { type Cidr, parseCidr, spanOf, toText, widthOf } from "../address.ts";
import type { PoolRange } from "../pool-range.ts";
import { type Range, rangeOf } from "../range.ts";
import { poolName } from "./names.ts";
import { withinKeys } from "./record-keys.ts";

/**
 * The first range of a configuration reduced to a node's slice of it. Its bounds and excludes count (Whereabouts drops
 * them). The mask of the result is not the slice's but that of the whole range: toResult() has it.
 *
 * @param slice CIDR, as returned by Store.slice().
 */
export function sliceRange({ pool, range }: PoolRange, slice: string, node: string): PoolRange {
  const cidr = parseCidr(slice);
  if (!cidr || cidr.isV6 !== range.isV6)
    throw new CniError(
      CODE.INVALID_CONFIG,
      `cannot use slice ${JSON.stringify(slice)} of node ${node}: it is not a CIDR of ${pool.cidr}`,
    );
  return {
    pool: { ...pool, name: poolName(pool.network, node, slice), cidr: slice },
    range: withinKeys(cut(range, cidr)),
  };
}

/** The part of a range in one of its slices; empty (`last` before `first`) if its bounds leave nothing. */
export function cut(range: Range, cidr: Cidr): Range {
  const slice = rangeOf(cidr);
  let { first, last } = slice;
  if (range.first > first) first = range.first;
  if (range.last < last) last = range.last;
  return { ...slice, first, last, excluded: range.excluded, excludeTexts: range.excludeTexts ?? [] };
}

/**
 * `node_slice_size`, `/24` or `24`.
 *
 * @throws {CniError} 7 for a size that makes no usable slices.
 */
export function readSliceSize(text: string, cidr: string): number {
  const refuse = (why: string) =>
    new CniError(CODE.INVALID_CONFIG, `cannot use ipam.node_slice_size ${JSON.stringify(text)}: ${why}`);
  const { isV6, prefixBits } = parseNetwork(cidr);
  if (!/^\/?\d{1,3}$/.test(text)) throw refuse("want a prefix length such as /24");
  const bits = Number(text.replace("/", ""));
  if (bits < prefixBits) throw refuse(`subnetMaskSize must be greater or equal than netMaskSize (${cidr})`);
  if (bits > widthOf(isV6) - 2) throw refuse(`no address is left in a slice; want at most /${widthOf(isV6) - 2}`);
  return bits;
}

function parseNetwork(cidr: string): Cidr {
  const network = parseCidr(cidr);
  if (!network) throw new CniError(CODE.INTERNAL, `error parsing CIDR ${cidr}: invalid CIDR address: ${cidr}`);
  if (network.value !== spanOf(network).first)
    throw new CniError(CODE.INTERNAL, "netCIDR is not a valid network address");
  return network;
}

/**
 * The slices of a network in order, lazily: there may be 2^64 of them.
 *
 * @throws {CniError} in Whereabouts' words where it has some.
 */
export function* divideRange(cidr: string, sliceSize: string): Generator<string> {
  const network = parseNetwork(cidr);
  const bits = readSliceSize(sliceSize, cidr);
  const { first, last } = spanOf(network);
  const step = 1n << BigInt(widthOf(network.isV6) - bits);
  for (let value = first; value <= last; value += step) yield `${toText({ isV6: network.isV6, value })}/${bits}`;
}
