import type { Mode } from "../../ipam/mode.ts";
import type { Owner } from "../../ipam/store/store.ts";
import { type IpPool, type PoolRecord, toRecord } from "../../ipam/whereabouts/objects.ts";
import { addition, removal } from "../../ipam/whereabouts/record-patch.ts";
import { ApiError, type Cluster, IP_POOLS, type KubeObject, RESERVATIONS } from "../../kubernetes/cluster.ts";
import type { Located } from "./addresses.ts";

/** `changed`: it changed in the meantime, and was left alone. */
export type ChangeOutcome = "done" | "gone" | "changed";

/** What to remove for one address. */
export interface PlannedRemoval {
  readonly reservation?: KubeObject | undefined;
  readonly records: readonly Located[];
}

/**
 * Removes exactly what was looked at. Beside a running Whereabouts the records go first: it must not find a record that no
 * reservation protects, and what it has changed stays, including the reservation.
 *
 * @throws {ApiError}
 */
export async function remove(
  cluster: Cluster,
  mode: Mode,
  { reservation, records }: PlannedRemoval,
): Promise<ChangeOutcome> {
  const changes: ChangeOutcome[] = [];
  const removeRecords = async () => {
    for (const record of records) changes.push(await removeRecord(cluster, record));
  };
  if (mode === "coexist") await removeRecords();
  if (reservation && !changes.includes("changed")) changes.push(await removeReservation(cluster, reservation));
  if (mode === "absent" && !changes.includes("changed")) await removeRecords();
  return changes.includes("changed") ? "changed" : changes.includes("done") ? "done" : "gone";
}

async function removeReservation(cluster: Cluster, { metadata }: KubeObject): Promise<ChangeOutcome> {
  const { name, uid = "", resourceVersion = "" } = metadata;
  try {
    return (await cluster.delete(RESERVATIONS, name, { uid, resourceVersion })) ? "done" : "gone";
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return "changed";
    throw error;
  }
}

/** The server refuses the patch unless the record is identical, member by member. */
async function removeRecord(cluster: Cluster, { pool, key, record }: Located): Promise<ChangeOutcome> {
  try {
    await cluster.patch(IP_POOLS, pool, removal(key, record, "all"), { metadataOnly: true });
    return "done";
  } catch (error) {
    if (!(error instanceof ApiError && (error.status === 422 || error.status === 404))) throw error;
    const now = await readRecord(cluster, pool, key);
    return now === undefined ? "gone" : "changed";
  }
}

/** Writes a record where there is none. @throws {ApiError} */
export async function addRecord(cluster: Cluster, pool: string, key: string, owner: Owner): Promise<ChangeOutcome> {
  try {
    await cluster.patch(IP_POOLS, pool, addition(key, toRecord(owner)), { metadataOnly: true });
    return "done";
  } catch (error) {
    if (error instanceof ApiError && error.status === 422) return "changed";
    if (error instanceof ApiError && error.status === 404) return "gone";
    throw error;
  }
}

async function readRecord(cluster: Cluster, pool: string, key: string): Promise<PoolRecord | undefined> {
  return (await cluster.get<IpPool>(IP_POOLS, pool))?.spec.allocations?.[key];
}
