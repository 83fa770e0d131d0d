import { inSpan, parseCidr, parseIp, type Span, spanOf } from "../../../ipam/address.ts";
import { type Cluster, IP_POOLS, NODE_SLICE_POOLS, RESERVATIONS } from "../../../ipam/kubernetes/cluster.ts";
import { type Mode, readMode } from "../../../ipam/kubernetes/mode.ts";
import { ipOfReservation } from "../../../ipam/whereabouts/names.ts";
import {
  ADOPTED,
  type IpPool,
  type NodeSlicePool,
  type PoolRecord,
  type Reservation,
} from "../../../ipam/whereabouts/objects.ts";
import { ipOf, type Place, placeOf } from "../../addresses/pool-place.ts";
import { compactor, type Reserved } from "../../addresses/reserved.ts";
import type { Progress } from "./progress.ts";

/** A pool object. */
export interface PoolState {
  readonly name: string;
  readonly range: string;
  /** Undefined when its name does not tell its network. */
  readonly place: Place | undefined;
  readonly isAdopted: boolean;
  readonly records: ReadonlyMap<string, PoolRecord>;
}

/** A reservation object, and the address that it is for. */
export interface Reserving extends Reserved {
  /** Canonical; empty when the object's name tells none. */
  readonly ip: string;
  /** In full, where `network` may be a hash. */
  readonly networkName: string;
  /** Of the pool that the address is in: as it says, else as its address says; empty when there is none. */
  readonly poolName: string;
  /** ISO 8601. */
  readonly since: string;
}

/** The addresses of a cluster at about one moment. */
export interface Snapshot {
  readonly mode: Mode;
  readonly pools: readonly PoolState[];
  readonly reservations: readonly Reserving[];
}

/** @throws {ApiError} */
export async function readSnapshot(cluster: Cluster, progress?: Progress): Promise<Snapshot> {
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
export const readSlices = async (cluster: Cluster): Promise<readonly NodeSlicePool[]> =>
  (await cluster.list<NodeSlicePool>(NODE_SLICE_POOLS)).items;

/** Which address is which reservation's. Pure. */
export function locate(
  pools: readonly IpPool[],
  slices: readonly NodeSlicePool[],
  reservations: readonly Reservation[],
): Pick<Snapshot, "pools" | "reservations"> {
  const states = pools.map((pool) => toState(pool, slices));
  const compact = compactor();
  const atlas = new Atlas(states);
  return {
    pools: states,
    reservations: reservations.map((one) => {
      const reserved = compact(one);
      return { ...reserved, ...atlas.addressOf(reserved), since: one.metadata.creationTimestamp ?? "" };
    }),
  };
}

const toState = (pool: IpPool, slices: readonly NodeSlicePool[]): PoolState => ({
  name: pool.metadata.name,
  range: pool.spec.range,
  place: placeOf(pool, slices),
  isAdopted: pool.metadata.annotations?.[ADOPTED] !== undefined,
  records: new Map(Object.entries(pool.spec.allocations ?? {})),
});

/** What the names of reservations mean, given the pools that there are. */
class Atlas {
  readonly #byName = new Map<string, Place>();
  readonly #byNetwork = new Map<string, { readonly place: Place; readonly isV6: boolean; readonly span: Span }[]>();

  constructor(pools: readonly PoolState[]) {
    for (const { place } of pools) {
      const cidr = place && parseCidr(place.pool.cidr);
      if (!cidr) continue;
      const { name, network } = place.pool;
      this.#byName.set(name, place);
      const others = this.#byNetwork.get(network) ?? [];
      this.#byNetwork.set(network, [...others, { place, isV6: cidr.isV6, span: spanOf(cidr) }]);
    }
  }

  addressOf(reserved: Reserved): Pick<Reserving, "ip" | "networkName" | "poolName"> {
    const place = this.#byName.get(reserved.pool);
    const ip = place && ipOf(reserved, place.pool);
    if (ip) return { ip, networkName: place.pool.network, poolName: place.pool.name };
    return this.#ofPools(reserved) ?? ofName(reserved);
  }

  /** Whereabouts writes no labels: the network is the one that makes the name an address of one of its pools. */
  #ofPools({ name }: Reserved) {
    for (const [network, places] of this.#byNetwork) {
      const ip = ipOfReservation(network, name);
      const address = ip === undefined ? undefined : parseIp(ip);
      const around = address && places.filter((one) => one.isV6 === address.isV6 && inSpan(address.value, one.span));
      const narrowest = around?.toSorted((a, b) => (sizeOf(a.span) < sizeOf(b.span) ? -1 : 1))[0];
      if (ip && narrowest) return { ip, networkName: network, poolName: narrowest.place.pool.name };
    }
    return undefined;
  }
}

const sizeOf = ({ first, last }: Span): bigint => last - first;

/** No pool has it. */
function ofName({ name, network, pool: poolName }: Reserved) {
  const [, given = "", ipv4 = ""] = /^(?:(.*)-)?(\d+\.\d+\.\d+\.\d+)$/.exec(name) ?? [];
  const networks = [network, ipv4 ? given : ""];
  for (const networkName of networks) {
    const ip = ipOfReservation(networkName, name);
    if (ip) return { ip, networkName, poolName };
  }
  return { ip: "", networkName: network, poolName };
}
