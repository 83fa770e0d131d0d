import { isHeard, type Report, readReports } from "../../../daemonset/addresses/node/report.ts";
import type { Mode } from "../../../ipam/mode.ts";
import { ApiError, type Cluster, type KubeObject, LEASES, NODES, type Resource } from "../../../kubernetes/cluster.ts";
import { type Lease, WHEREABOUTS_LEASE } from "../../../kubernetes/lease.ts";
import { addressKey, isSameOwner, type Located, recordsByAddress } from "../addresses.ts";
import type { Progress } from "../progress.ts";
import { type IpamSnapshot, type Reserving, readSnapshot } from "../snapshot.ts";

/** How a pool's records compare with the reservations. */
export interface PoolReadiness {
  readonly pool: string;
  readonly isAdopted: boolean;
  /** Whether its name tells its network; otherwise nobody can reserve the addresses of its records. */
  readonly isNamed: boolean;
  readonly records: number;
  readonly reservations: number;
  /** Records without a reservation. */
  readonly unreserved: number;
  /** Reservations without a record. */
  readonly unrecorded: number;
  /** How many of these have been so for a minute. */
  readonly stuck: number;
  /** Records of one interface with the reservation of another. */
  readonly disputed: number;
}

export interface AgentReadiness extends Report {
  readonly isHeard: boolean;
  /** There is a Node object of that name. */
  readonly hasNode: boolean;
}

/** The state of a cluster between Whereabouts and Railnet. */
export interface TakeoverState {
  readonly mode: Mode;
  readonly pools: readonly PoolReadiness[];
  readonly whereabouts: {
    /** Time of its lease, ISO 8601; empty if there is none. */
    readonly leaseRenewed: string;
    readonly isLive: boolean;
    /** `DaemonSet/whereabouts`; null if unknown. */
    readonly workloads: readonly string[] | null;
  };
  readonly agents: readonly AgentReadiness[];
  /** Names of nodes whose agent has never reported. */
  readonly nodesWithoutAgent: readonly string[];
}

/** How long Whereabouts counts as running after it renewed its lease; our turns with it leave that time unchanged. */
const LIVE_MS = 60_000;
/** Until then a record may still be written, or a claim may be between its two writes. */
const STUCK_MS = 60_000;

export interface TakeoverReading {
  readonly state: TakeoverState;
  readonly snapshot: IpamSnapshot;
}

/** @throws {ApiError} */
export async function readTakeover(cluster: Cluster, progress: Progress): Promise<TakeoverReading> {
  const snapshot = await readSnapshot(cluster, progress);
  progress.at("reading agents and Whereabouts");
  const [reports, lease, workloads, nodes] = await Promise.all([
    readReports(cluster),
    cluster.get<Lease>(LEASES, WHEREABOUTS_LEASE),
    readWorkloads(cluster),
    cluster.list(NODES, { metadataOnly: true }),
  ]);
  const nowMs = Date.now();
  const names = new Set(nodes.items.map(({ metadata }) => metadata.name));
  const leaseRenewed = lease?.spec.renewTime ?? "";
  const reported = new Set(reports.map(({ node }) => node));
  const state: TakeoverState = {
    mode: snapshot.mode,
    pools: readinessOf(snapshot, nowMs),
    whereabouts: { leaseRenewed, isLive: nowMs - Date.parse(leaseRenewed) < LIVE_MS, workloads },
    agents: reports.map((one) => ({ ...one, isHeard: isHeard(one, nowMs), hasNode: names.has(one.node) })),
    nodesWithoutAgent: [...names].filter((name) => !reported.has(name)).sort(),
  };
  return { state, snapshot };
}

/** Pure. */
export function readinessOf({ pools, reservations }: IpamSnapshot, nowMs: number): PoolReadiness[] {
  const records = recordsByAddress(pools);
  const reserved = new Map(reservations.map((one) => [addressKey(one.networkName, one.ip), one]));
  const recordsOf = Map.groupBy([...records.values()].flat(), ({ pool }) => pool);
  const reservationsOf = Map.groupBy(reservations, ({ poolName }) => poolName);
  return pools.map(({ name: pool, isAdopted, location, records: all }) => {
    const own = recordsOf.get(pool) ?? [];
    const holders = own.map((one) => ({ one, holder: reserved.get(addressKey(one.network, one.ip)) }));
    const unrecorded = (reservationsOf.get(pool) ?? []).filter((one) => !isRecorded(one, records));
    return {
      pool,
      isAdopted,
      isNamed: location !== undefined,
      records: all.size,
      reservations: reservationsOf.get(pool)?.length ?? 0,
      unreserved: location ? holders.filter(({ holder }) => !holder).length : all.size,
      unrecorded: unrecorded.length,
      stuck: unrecorded.filter(({ since }) => nowMs - Date.parse(since) >= STUCK_MS).length,
      disputed: holders.filter(({ one, holder }) => holder && !isSameOwner(one.record, holder)).length,
    };
  });
}

/** Whether a pool has the record of a reservation. Pure. */
export const isRecorded = ({ networkName, ip }: Reserving, records: ReadonlyMap<string, readonly Located[]>): boolean =>
  records.has(addressKey(networkName, ip));

interface Workload extends KubeObject {
  readonly spec?: {
    readonly template?: { readonly spec?: { readonly containers?: readonly { readonly image?: string }[] } };
  };
}
const apps = (plural: string, kind: string): Resource => ({
  group: "apps",
  version: "v1",
  plural,
  kind,
  namespaced: true,
});
const WORKLOADS = [apps("daemonsets", "DaemonSet"), apps("deployments", "Deployment")];

/** What runs Whereabouts' image in the namespace of its objects. Null without the right to look. */
async function readWorkloads(cluster: Cluster): Promise<string[] | null> {
  try {
    const lists = await Promise.all(WORKLOADS.map((resource) => cluster.list<Workload>(resource)));
    return lists.flatMap(({ items }, i) =>
      items.filter(isTheirs).map((one) => `${WORKLOADS[i]!.kind}/${one.metadata.name}`),
    );
  } catch (error) {
    if (error instanceof ApiError && [403, 404].includes(error.status)) return null;
    throw error;
  }
}

const isTheirs = ({ spec }: Workload): boolean =>
  spec?.template?.spec?.containers?.some(({ image = "" }) => /(^|\/)whereabouts(?=[:@]|$)/.test(image)) ?? false;
