import { isPodref, podIsOver, readPod } from "../../../daemonset/addresses/evidence.ts";
import type { Reservation } from "../../../ipam/whereabouts/objects.ts";
import { type Cluster, type ObjectMeta, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { addressKey, recordsByAddress } from "../addresses.ts";
import type { Progress } from "../progress.ts";
import { type IpamSnapshot, type Reserving, readSnapshot } from "../snapshot.ts";

/** Everything that a cluster knows of an address of one network. */
export interface Known {
  readonly ip: string;
  readonly network: string;
  /** Pools whose range contains the address. */
  readonly pools: readonly { readonly pool: string; readonly range: string; readonly isAdopted: boolean }[];
  readonly reservation: ReservationSheet | null;
  readonly records: readonly RecordSheet[];
  readonly owners: readonly PodSheet[];
}

export interface ReservationSheet {
  readonly name: string;
  readonly podref: string;
  readonly ifname: string;
  readonly containerId: string;
  readonly podUid: string;
  readonly node: string;
  readonly pool: string;
  readonly since: string;
  /** According to its labels. */
  readonly madeBy: "Railnet" | "Whereabouts";
  /** Who has written to it, by name and time, as recorded by the API server. */
  readonly managers: readonly string[];
}

export interface RecordSheet {
  readonly pool: string;
  readonly key: string;
  readonly podref: string;
  readonly ifname: string;
  readonly containerId: string;
}

export interface PodSheet {
  readonly podref: string;
  readonly exists: boolean;
  readonly uid: string;
  readonly phase: string;
  readonly node: string;
  /** Why it no longer needs an address; empty while it may. */
  readonly over: string;
}

/** One entry for each network that has the address. @throws {ApiError} */
export async function knownOf(ip: string, cluster: Cluster, progress: Progress): Promise<Known[]> {
  const snapshot = await readSnapshot(cluster, progress);
  const reserved = snapshot.reservations.filter((one) => one.ip === ip);
  const networks = new Set([
    ...snapshot.addressIndex.networksOf(ip),
    ...reserved.map(({ networkName }) => networkName),
  ]);
  return Promise.all([...networks].sort().map((network) => knownIn(network, ip, snapshot, cluster)));
}

async function knownIn(network: string, ip: string, snapshot: IpamSnapshot, cluster: Cluster): Promise<Known> {
  const reserving = snapshot.reservations.find((one) => one.ip === ip && one.networkName === network);
  const located = recordsByAddress(snapshot.pools).get(addressKey(network, ip)) ?? [];
  const records = located.map(({ pool, key, record: { podref, ifname = "", id: containerId } }) => {
    return { pool, key, podref, ifname, containerId };
  });
  const uids = new Map([...records.map(({ podref }) => [podref, ""] as const), ...ownUid(reserving)]);
  return {
    ip,
    network,
    pools: poolsWith(ip, network, snapshot),
    reservation: reserving ? await sheetOf(reserving, cluster) : null,
    records,
    owners: await Promise.all([...uids].map(([podref, uid]) => podSheet(podref, uid, cluster))),
  };
}

const ownUid = (reserving: Reserving | undefined): (readonly [podref: string, uid: string])[] =>
  reserving ? [[reserving.podref, reserving.podUid]] : [];

const poolsWith = (ip: string, network: string, { pools }: IpamSnapshot): Known["pools"] =>
  pools
    .filter(({ location }) => location?.pool.network === network && location.keyOf(ip) !== undefined)
    .map(({ name: pool, range, isAdopted }) => ({ pool, range, isAdopted }));

async function sheetOf(reserving: Reserving, cluster: Cluster): Promise<ReservationSheet> {
  const { podref, ifname, containerId, podUid, node, poolName: pool, since, metadata } = reserving;
  const whole = await cluster.get<Reservation>(RESERVATIONS, metadata.name);
  const madeBy = reserving.pool ? "Railnet" : "Whereabouts";
  const managers = managersOf(whole?.metadata);
  return { name: metadata.name, podref, ifname, containerId, podUid, node, pool, since, madeBy, managers };
}

/** From `metadata.managedFields`; no decision is based on it. */
function managersOf(metadata: ObjectMeta | undefined): string[] {
  const { managedFields = [] } = (metadata ?? {}) as { managedFields?: { manager?: string; time?: string }[] };
  return managedFields.map(({ manager = "not named", time = "" }) => `${manager} ${time}`.trim());
}

async function podSheet(podref: string, knownUid: string, cluster: Cluster): Promise<PodSheet> {
  const pod = isPodref(podref) ? await readPod(cluster, podref) : undefined;
  const { metadata, status, spec } = pod ?? {};
  return {
    podref,
    exists: pod !== undefined,
    uid: metadata?.uid ?? "",
    phase: status?.phase ?? "",
    node: spec?.nodeName ?? "",
    over: podIsOver(pod, knownUid) ?? "",
  };
}
