import { parseCidr } from "../../../ipam/address.ts";
import { rangeOf } from "../../../ipam/range.ts";
import { poolName } from "../../../ipam/whereabouts/names.ts";
import type { IpPool, NodeSlicePool } from "../../../ipam/whereabouts/objects.ts";
import { assignSlices, type NodeSlice } from "../../../ipam/whereabouts/slice-nodes.ts";
import { ApiError, IP_POOLS, NODE_SLICE_POOLS, NODES } from "../../../kubernetes/cluster.ts";
import type { Context } from "../context.ts";
import type { Reserved } from "../reserved.ts";
import { type Node, type NodeState, nodeState } from "./nodes.ts";

/**
 * Takes slices away from nodes. Nodes take theirs themselves; only the leader knows when one is over: its node is gone, or
 * range and size of the network have changed, and no pod has an address of it.
 */
export class LeaderSlices {
  readonly #context: Pick<Context, "cluster" | "mode" | "log">;
  readonly #stateOf: (node: string) => NodeState;
  readonly #graceMs: number;
  /** When a slice first looked abandoned, by pool, node and range. */
  #suspicions = new Map<string, number>();

  /** @param stateOf what is known of a node. */
  constructor(
    context: Pick<Context, "cluster" | "mode" | "log">,
    stateOf: (node: string) => NodeState,
    graceMs: number,
  ) {
    this.#context = context;
    this.#stateOf = stateOf;
    this.#graceMs = graceMs;
  }

  /**
   * @param pools all of the cluster. @param reserved all reservations.
   * @throws {ApiError}
   */
  async look(pools: Iterable<NodeSlicePool>, reserved: Iterable<Reserved>, signal: AbortSignal): Promise<void> {
    const before = this.#suspicions;
    this.#suspicions = new Map();
    if (this.#context.mode() === "coexist") return; // the list belongs to Whereabouts' controller
    const suspects = [...pools].map((pool) => ({ pool, slices: this.#suspectsOf(pool) }));
    if (suspects.every(({ slices }) => slices.length === 0)) return;
    const inUse = new Set([...reserved].map(({ pool }) => pool));
    for (const { pool, slices } of suspects) {
      const due: NodeSlice[] = [];
      for (const slice of slices)
        if (await this.#isAbandoned(pool, slice, inUse, signal)) {
          const key = `${pool.metadata.uid} ${slice.nodeName} ${slice.sliceRange}`;
          const since = before.get(key) ?? performance.now();
          this.#suspicions.set(key, since);
          if (before.has(key) && performance.now() - since >= this.#graceMs) due.push(slice);
        }
      if (due.length > 0) await this.#giveBack(pool, due, signal);
    }
  }

  #suspectsOf({ spec, status }: NodeSlicePool): NodeSlice[] {
    const isSuspect = (slice: NodeSlice) => this.#stateOf(slice.nodeName) === "gone" || !isOfGrid(slice, spec);
    return (status?.allocations ?? []).filter((slice) => slice.nodeName !== "" && isSuspect(slice));
  }

  /** By quorum reads: what is cached may be stale. */
  async #isAbandoned(
    { metadata: { name }, spec }: NodeSlicePool,
    slice: NodeSlice,
    inUse: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { cluster } = this.#context;
    const { nodeName, sliceRange } = slice;
    // A NodeSlicePool is named after its network, or after the CNI network when that has no network_name.
    for (const pool of [poolName(name, nodeName, sliceRange), poolName("", nodeName, sliceRange)]) {
      if (inUse.has(pool)) return false;
      const object = await cluster.get<IpPool>(IP_POOLS, pool, { signal });
      if (Object.keys(object?.spec.allocations ?? {}).length > 0) return false;
    }
    return !isOfGrid(slice, spec) || nodeState(await cluster.get<Node>(NODES, nodeName, { signal })) === "gone";
  }

  /** Divides what is free by the present range and size. If the list changes meanwhile, the next look sees it. */
  async #giveBack(seen: NodeSlicePool, due: readonly NodeSlice[], signal: AbortSignal): Promise<void> {
    const { cluster, log } = this.#context;
    const { spec, status, metadata } = seen;
    const cidr = parseCidr(spec.range);
    if (!cidr) return;
    const before = (status?.allocations ?? []).filter((slice) => !due.includes(slice));
    const whole = { range: rangeOf(cidr), cidr: spec.range, sliceSize: spec.sliceSize };
    const { allocations } = assignSlices({ ...whole, before, nodes: [], isInUse: () => true });
    try {
      await cluster.replace<NodeSlicePool>(NODE_SLICE_POOLS, { ...seen, status: { allocations } }, { signal });
    } catch (error) {
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return;
      throw error;
    }
    for (const slice of due)
      log.info({ pool: metadata.name, ...slice }, "slice released: none of its addresses is in use");
  }
}

const isOfGrid = ({ sliceRange }: NodeSlice, { range, sliceSize }: NodeSlicePool["spec"]): boolean => {
  const [slice, whole] = [parseCidr(sliceRange), parseCidr(range)];
  if (!slice || !whole || slice.isV6 !== whole.isV6 || slice.prefixBits !== Number(sliceSize.replace("/", "")))
    return false;
  const { network, prefixBits } = rangeOf(whole);
  return slice.prefixBits >= prefixBits && rangeOf({ ...slice, prefixBits }).network === network;
};
