import { type Cluster, NODE_SLICE_POOLS } from "../../kubernetes/cluster.ts";
import type { NodeSlicePool } from "../../whereabouts/objects.ts";
import { StoreError } from "../store.ts";
import { isOutdated, isUnclear } from "./failure.ts";

const MAX_TRIES = 8;

/**
 * The slice of a node: the one it has, else a free one. The list is kept by the leader, or by Whereabouts' controller;
 * a node that comes before its entry takes one by itself.
 *
 * @throws {ApiError} {StoreError} `refused` when there is none left, `unavailable` when there is no list yet.
 */
export async function takeSlice(cluster: Cluster, name: string, node: string, signal?: AbortSignal): Promise<string> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const pool = await cluster.get<NodeSlicePool>(NODE_SLICE_POOLS, name, { signal });
    if (!pool) throw noPool(name);
    const slices = pool.status?.allocations ?? [];
    const own = slices.find(({ nodeName }) => nodeName === node);
    if (own) return own.sliceRange;
    const free = slices.findIndex(({ nodeName }) => nodeName === "");
    if (free < 0) throw noneLeft(pool, node);
    if (await take(cluster, name, free, slices[free]!.sliceRange, node, signal)) return slices[free]!.sliceRange;
  }
  throw new StoreError(
    "unavailable",
    `cannot take a slice of NodeSlicePool ${name}: lost ${MAX_TRIES} races; try again`,
  );
}

/** @returns false when somebody was faster, or when nobody knows: look. */
async function take(
  cluster: Cluster,
  name: string,
  index: number,
  sliceRange: string,
  node: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const path = `/status/allocations/${index}`;
  try {
    const { status } = await cluster.patch<NodeSlicePool>(
      NODE_SLICE_POOLS,
      name,
      [
        { op: "test", path: `${path}/nodeName`, value: "" },
        { op: "test", path: `${path}/sliceRange`, value: sliceRange },
        { op: "replace", path: `${path}/nodeName`, value: node },
      ],
      { signal },
    );
    if (status?.allocations[index]?.nodeName !== node) throw notKept(name);
    return true;
  } catch (error) {
    if (isOutdated(error) || isUnclear(error)) return false;
    throw error;
  }
}

const noPool = (name: string): StoreError =>
  new StoreError(
    "unavailable",
    `cannot find NodeSlicePool ${name}: the agents' leader makes it from the network's node_slice_size; is an agent running?`,
  );

/** Where `status` is a subresource, the server takes the patch and drops what it says. */
const notKept = (name: string): StoreError =>
  new StoreError(
    "refused",
    `cannot take a slice of NodeSlicePool ${name}: the definition of nodeslicepools keeps status apart, as a fork of Whereabouts has it; ` +
      "kubectl apply -f manifests/crds",
  );

const noneLeft = ({ metadata, spec }: NodeSlicePool, node: string): StoreError =>
  new StoreError(
    "refused",
    `cannot find a free slice in NodeSlicePool ${metadata.name} for ${node}: all slices ${spec.sliceSize} of ${spec.range} have a node; ` +
      "make node_slice_size smaller, or the range larger",
  );
