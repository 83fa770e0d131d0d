import type { IpamHost } from "./host.ts";
import type { PoolRange } from "./pool-range.ts";
import type { Store } from "./store/store.ts";
import type { IpamConfig } from "./whereabouts/config.ts";
import { sliceRange } from "./whereabouts/slices.ts";

/** With `node_slice_size`: the first range cut down to this node's slice of it, the others as they are. */
export async function sliced(config: IpamConfig, store: Store, host: IpamHost): Promise<readonly PoolRange[]> {
  const [first, ...others] = config.ranges;
  if (!first || !config.slicePool) return config.ranges;
  const slice = await store.slice(config.slicePool, host.node, host.signal);
  return [sliceRange(first, slice, host.node), ...others];
}
