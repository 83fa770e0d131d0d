import { type Cluster, IP_POOLS, type JsonPatch, NODE_SLICE_POOLS } from "../../../kubernetes/cluster.ts";
import { networkText } from "../../address.ts";
import { rangeOfPool } from "../../whereabouts/names.ts";
import { type NodeSlicePool, toNodeSlicePool } from "../../whereabouts/objects.ts";
import { assignSlices, type NodeSlice, sliceOfNode } from "../../whereabouts/slice-nodes.ts";
import { type SlicedRange, StoreError } from "../store.ts";
import { isOutdated, isUnclear } from "./failure.ts";

const MAX_TRIES = 8;

/**
 * The slice of a node: the one it has, otherwise a free one, preferably the one it had before. The first node to ask
 * creates the list, or divides what is free of it again when range or size have changed; a slice with a node keeps it
 * until the leader takes it away. Whereabouts' controller keeps the same list, for all existing nodes.
 *
 * @throws {ApiError} {StoreError} `refused` when there is none left.
 */
export async function takeSlice(
  cluster: Cluster,
  whole: SlicedRange,
  node: string,
  signal?: AbortSignal,
): Promise<string> {
  const { name, range } = whole;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const pool = await cluster.get<NodeSlicePool>(NODE_SLICE_POOLS, name, { signal });
    const own = sliceOfNode(pool?.status?.allocations ?? [], node, range);
    if (own) return own;
    const allocations = await assigned(cluster, whole, pool, node, signal);
    const slice = sliceOfNode(allocations, node, range);
    if (!slice) throw noneLeft(whole, node);
    if (await write(cluster, whole, pool, { node, allocations }, signal)) return slice;
  }
  throw new StoreError(
    "unavailable",
    `cannot take a slice of NodeSlicePool ${name}: lost ${MAX_TRIES} races; try again`,
  );
}

/** The list with a slice for this node; those of others do not change. */
async function assigned(
  cluster: Cluster,
  { network, cidr, sliceSize, range }: SlicedRange,
  pool: NodeSlicePool | undefined,
  node: string,
  signal?: AbortSignal,
): Promise<NodeSlice[]> {
  const before = pool?.status?.allocations ?? [];
  const former = pool && (await formerSlices(cluster, network, node, signal));
  const formerSlice = () => before.find((one) => one.nodeName === "" && former?.has(one.sliceRange))?.sliceRange;
  return assignSlices({ range, cidr, sliceSize, before, nodes: [node], isInUse: () => true, formerSlice }).allocations;
}

/** Slices that a node once had: its pools remain. */
async function formerSlices(
  cluster: Cluster,
  network: string,
  node: string,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const { items } = await cluster.list(IP_POOLS, { metadataOnly: true, fromCache: true, signal });
  const ranges = items.map(({ metadata }) => rangeOfPool(network, node, metadata.name));
  return new Set(ranges.flatMap((range) => (range ? [networkText(range)] : [])));
}

/** @returns false when another was faster, or when the outcome is unknown: look. */
async function write(
  cluster: Cluster,
  { name, cidr, sliceSize, range }: SlicedRange,
  pool: NodeSlicePool | undefined,
  { node, allocations }: { node: string; allocations: readonly NodeSlice[] },
  signal?: AbortSignal,
): Promise<boolean> {
  const spec = { range: cidr, sliceSize };
  const status = { allocations };
  const at = { signal };
  try {
    const change = pool && oneChange(pool, spec, allocations);
    const written = change
      ? await cluster.patch<NodeSlicePool>(NODE_SLICE_POOLS, name, change, at)
      : pool
        ? await cluster.replace<NodeSlicePool>(NODE_SLICE_POOLS, { ...pool, spec, status }, at)
        : await cluster.create(NODE_SLICE_POOLS, toNodeSlicePool(name, spec, status), at);
    if (!sliceOfNode(written.status?.allocations ?? [], node, range)) throw notKept(name);
    return true;
  } catch (error) {
    if (isOutdated(error) || isUnclear(error)) return false;
    throw error;
  }
}

/** A patch by which a free slice gets its node and nothing else changes: concurrent nodes do not collide. */
function oneChange(
  { spec, status }: NodeSlicePool,
  wanted: NodeSlicePool["spec"],
  allocations: readonly NodeSlice[],
): JsonPatch | undefined {
  const before = status?.allocations ?? [];
  if (spec.range !== wanted.range || spec.sliceSize !== wanted.sliceSize) return undefined;
  if (allocations.some(({ sliceRange }, i) => before[i]?.sliceRange !== sliceRange)) return undefined;
  if (before.length !== allocations.length) return undefined;
  return allocations.flatMap(({ nodeName, sliceRange }, i): JsonPatch => {
    const path = `/status/allocations/${i}`;
    if (before[i]!.nodeName === nodeName) return [];
    return [
      { op: "test", path: `${path}/nodeName`, value: before[i]!.nodeName },
      { op: "test", path: `${path}/sliceRange`, value: sliceRange },
      { op: "replace", path: `${path}/nodeName`, value: nodeName },
    ];
  });
}

/** If `status` is a subresource, the server accepts the write and drops it. */
const notKept = (name: string): StoreError =>
  new StoreError(
    "refused",
    `cannot take a slice of NodeSlicePool ${name}: the definition of nodeslicepools keeps status apart, as a fork of Whereabouts has it; ` +
      "kubectl apply -f manifests/crds",
  );

const noneLeft = ({ name, cidr, sliceSize }: SlicedRange, node: string): StoreError =>
  new StoreError(
    "refused",
    `cannot find a free slice in NodeSlicePool ${name} for ${node}: all slices ${sliceSize} of ${cidr} have a node; ` +
      "make node_slice_size smaller, or the range larger",
  );
