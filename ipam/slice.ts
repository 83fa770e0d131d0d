import { CniError, CODE } from "../cni/protocol/error.ts";
import { parseIp } from "./address.ts";
import type { IpamHost } from "./host.ts";
import type { PoolRange } from "./pool-range.ts";
import { whyUnusable } from "./range.ts";
import type { Store } from "./store/store.ts";
import type { IpamConfig } from "./whereabouts/config.ts";
import { sliceRange } from "./whereabouts/slices.ts";

/**
 * With `node_slice_size`: the first range reduced to this node's slice of it, the others unchanged.
 *
 * @throws {CniError} 7 when the pod requests an address of another slice.
 * @throws {StoreError}
 */
export async function sliced(config: IpamConfig, store: Store, host: IpamHost): Promise<readonly PoolRange[]> {
  const [first, ...others] = config.ranges;
  if (!first || !config.slices) return config.ranges;
  const { network, cidr } = first.pool;
  const slice = await store.slice({ ...config.slices, network, cidr, range: first.range }, host.node, host.signal);
  const own = sliceRange(first, slice, host.node);
  const [asked] = config.asked;
  if (asked) requireInSlice(asked, own, host.node);
  return [own, ...others];
}

function requireInSlice(ip: string, { pool, range }: PoolRange, node: string): void {
  const why = whyUnusable(range, parseIp(ip)!);
  if (why === undefined) return;
  throw new CniError(
    CODE.INVALID_CONFIG,
    `cannot give ${ip}, which the pod asks for: the slice of node ${node} is ${pool.cidr}, and ${why}; ` +
      "ask for another one, or run the pod on that node",
  );
}
