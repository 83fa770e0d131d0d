import { type Cidr, inSpan, networkText, parseCidr, parseIp, spanOf, toText } from "../../ipam/address.ts";
import type { Pool } from "../../ipam/store/store.ts";
import { ipOfReservation, normalizeRange, poolName, rangeOfPool } from "../../ipam/whereabouts/names.ts";
import type { IpPool, NodeSlicePool } from "../../ipam/whereabouts/objects.ts";
import { addressOf, baseOf, readableKeyOf } from "../../ipam/whereabouts/record-keys.ts";
import type { Reserved } from "./reserved.ts";

/** Which network's addresses a pool's records stand for. */
export interface RecordLocation {
  readonly pool: Pool;
  /** The key of an address in `spec.allocations`; undefined if none reads back as this address. */
  keyOf(ip: string): string | undefined;
  /** The address of a key; undefined for a key that is not an offset in this range. */
  ipOf(key: string): string | undefined;
}

/**
 * The location of a pool by its name and range. Undefined if its name is not the one that Whereabouts gives that range:
 * then its network is unknown.
 */
export function locationOf(
  { metadata: { name }, spec: { range } }: IpPool,
  slices: readonly NodeSlicePool[],
): RecordLocation | undefined {
  const cidr = parseCidr(range);
  const network = cidr && networkOf(name, range, cidr, slices);
  if (!cidr || network === undefined) return undefined;
  const keys = baseOf(range);
  const span = spanOf(cidr);
  return {
    pool: { name, cidr: networkText(cidr), network, overlapping: true },
    keyOf(ip) {
      const address = parseIp(ip);
      return address?.isV6 === cidr.isV6 && inSpan(address.value, span)
        ? readableKeyOf(keys, address.value)
        : undefined;
    },
    ipOf(key) {
      const value = addressOf(keys, key);
      return value !== undefined && inSpan(value, span) ? toText({ isV6: cidr.isV6, value }) : undefined;
    },
  };
}

/** What precedes the range in the name: the network, and with node slices the node. */
function networkOf(name: string, range: string, cidr: Cidr, slices: readonly NodeSlicePool[]): string | undefined {
  const suffix = [networkText(cidr), range].map(normalizeRange).find((one) => name === one || name.endsWith(`-${one}`));
  if (suffix === undefined) return undefined;
  return networkOfSlice(name, slices) ?? name.slice(0, -suffix.length).replace(/-$/, "");
}

/** A NodeSlicePool is named after its network, or after the CNI network if that has no `network_name`. */
function networkOfSlice(name: string, slices: readonly NodeSlicePool[]): string | undefined {
  for (const { metadata, status } of slices)
    for (const { nodeName, sliceRange } of status?.allocations ?? [])
      for (const network of nodeName ? [metadata.name, ""] : [])
        if (poolName(network, nodeName, sliceRange) === name) return network;
  return undefined;
}

/** The address of a pool's reservation. A network's label is its name, or a hash if that is too long. */
export const ipOf = ({ metadata: { name }, network }: Reserved, pool: Pool): string | undefined =>
  ipOfReservation(network, name) ?? ipOfReservation(pool.network, name);

/**
 * The range of a pool that is gone, from its name: `rail0-10.10.0.0-16` had `10.10.0.0/16`.
 *
 * @param reserved one of its reservations, which tells its network and node.
 */
export function rangeOfName(name: string, { network, node }: Reserved): string | undefined {
  for (const of of node ? ["", node] : [""]) {
    const cidr = rangeOfPool(network, of, name);
    const range = cidr && networkText(cidr);
    if (range && poolName(network, of, range) === name) return range;
  }
  return undefined;
}
