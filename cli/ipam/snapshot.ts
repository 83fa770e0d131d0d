import { locationOf, type RecordLocation } from "../../daemonset/addresses/record-location.ts";
import { compactor, type Reserved } from "../../daemonset/addresses/reserved.ts";
import { type Mode, readMode } from "../../ipam/mode.ts";
import {
  ADOPTED,
  type IpPool,
  type NodeSlicePool,
  type PoolRecord,
  type Reservation,
} from "../../ipam/whereabouts/objects.ts";
import { type Cluster, IP_POOLS, NODE_SLICE_POOLS, RESERVATIONS } from "../../kubernetes/cluster.ts";
import { AddressIndex, type ReservedAddress } from "./address-index.ts";
import type { Progress } from "./progress.ts";

/** A pool object. */
export interface PoolState {
  readonly name: string;
  readonly range: string;
  /** Undefined if its name does not tell its network. */
  readonly location: RecordLocation | undefined;
  readonly isAdopted: boolean;
  readonly records: ReadonlyMap<string, PoolRecord>;
}

/** A reservation object, and the address that it is for. */
export interface Reserving extends Reserved, ReservedAddress {
  /** ISO 8601. */
  readonly since: string;
}

/** The addresses of a cluster at about one moment. */
export interface IpamSnapshot {
  readonly mode: Mode;
  readonly pools: readonly PoolState[];
  readonly reservations: readonly Reserving[];
  readonly addressIndex: AddressIndex;
}

/** @throws {ApiError} */
export async function readSnapshot(cluster: Cluster, progress?: Progress): Promise<IpamSnapshot> {
  progress?.at("reading reservations and pools");
  const [mode, pools, slices, reservations] = await Promise.all([
    readMode(cluster),
    cluster.list<IpPool>(IP_POOLS),
    readSlices(cluster),
    cluster.list<Reservation>(RESERVATIONS),
  ]);
  return { mode, ...locate(pools.items, slices, reservations.items) };
}

/** @throws {ApiError} */
const readSlices = async (cluster: Cluster): Promise<readonly NodeSlicePool[]> =>
  (await cluster.list<NodeSlicePool>(NODE_SLICE_POOLS)).items;

/** Finds the address of each reservation. Pure. */
export function locate(
  pools: readonly IpPool[],
  slices: readonly NodeSlicePool[],
  reservations: readonly Reservation[],
): Omit<IpamSnapshot, "mode"> {
  const states = pools.map((pool) => toState(pool, slices));
  const compact = compactor();
  const addressIndex = new AddressIndex(states.flatMap(({ location }) => location ?? []));
  return {
    pools: states,
    addressIndex,
    reservations: reservations.map((one) => {
      const reserved = compact(one);
      return { ...reserved, ...addressIndex.addressOf(reserved), since: one.metadata.creationTimestamp ?? "" };
    }),
  };
}

const toState = (pool: IpPool, slices: readonly NodeSlicePool[]): PoolState => ({
  name: pool.metadata.name,
  range: pool.spec.range,
  location: locationOf(pool, slices),
  isAdopted: pool.metadata.annotations?.[ADOPTED] !== undefined,
  records: new Map(Object.entries(pool.spec.allocations ?? {})),
});
