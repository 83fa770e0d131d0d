import { type Pod, podIsOver, readPod, uidOf } from "../../../daemonset/addresses/evidence.ts";
import type { Owner } from "../../../ipam/store/store.ts";
import { ownerOfRecord, toReservation } from "../../../ipam/whereabouts/objects.ts";
import { ApiError, type Cluster, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { addRecord, remove } from "../changes.ts";
import type { IpamSnapshot } from "../snapshot.ts";
import { nodeOf } from "./decide.ts";
import type { AuditFinding } from "./finding.ts";

/** The outcome for a finding: `done`, or why it was left. */
export type FixOutcome = "done" | `left: ${string}`;

/**
 * Corrects one finding, as its `fix` says, if its pods are unchanged: each is read again just before.
 *
 * @throws {ApiError}
 */
export async function apply(finding: AuditFinding, snapshot: IpamSnapshot, cluster: Cluster): Promise<FixOutcome> {
  switch (finding.fix) {
    case "free":
      return await free(finding, snapshot, cluster);
    case "reserve":
      return await reserve(finding, snapshot, cluster);
    case "record":
      return await writeRecord(finding, snapshot, cluster);
    case "none":
      return `left: ${finding.advice}`;
  }
}

async function free(finding: AuditFinding, { mode }: IpamSnapshot, cluster: Cluster): Promise<FixOutcome> {
  const { owners, reservation, records } = finding;
  for (const podref of new Set(owners.map(({ podref }) => podref))) {
    const pod = await readPod(cluster, podref);
    const uid = reservation?.podref === podref ? reservation.podUid : "";
    const isProof = nodeOf(finding) ? podIsOver(pod, uid) !== undefined : pod === undefined;
    if (!isProof) return `left: pod ${podref} is there again`;
  }
  return outcomeOf(await remove(cluster, mode, { reservation, records }));
}

const CHANGED = "left: it was changed in the meantime";
const outcomeOf = (change: Awaited<ReturnType<typeof remove>>): FixOutcome => (change === "changed" ? CHANGED : "done");

/** As the owner's agent would: from the pod's record, otherwise as Whereabouts writes it. Create succeeds for only one. */
async function reserve(
  { ip, network, owners, records }: AuditFinding,
  { addressIndex }: IpamSnapshot,
  cluster: Cluster,
): Promise<FixOutcome> {
  const { podref, ifname } = owners.find(({ by }) => by === "pod") ?? owners[0]!;
  const pod = await readPod(cluster, podref);
  const why = whyNotLiving(pod);
  if (why) return `left: ${why}`;
  const pool = addressIndex.locationOf(network, ip)?.pool;
  if (!pool) return "left: its pool is gone";
  const record = records.find((one) => one.record.podref === podref)?.record;
  const owner: Owner = {
    ...(record ? ownerOfRecord(record) : { podref, containerId: "" }),
    ifname,
    ...placeOfPod(pod),
  };
  try {
    await cluster.create(RESERVATIONS, toReservation({ pool, ip, owner }));
    return "done";
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return "left: it was reserved in the meantime";
    throw error;
  }
}

async function writeRecord(
  { ip, network, reservation }: AuditFinding,
  { addressIndex }: IpamSnapshot,
  cluster: Cluster,
): Promise<FixOutcome> {
  const location = addressIndex.locationOf(network, ip);
  const key = location?.keyOf(ip);
  if (!reservation || !location || key === undefined) return "left: its pool is gone";
  const { podref, ifname, containerId } = reservation;
  const why = whyNotLiving(await readPod(cluster, podref));
  if (why) return `left: ${why}`;
  const change = await addRecord(cluster, location.pool.name, key, { podref, ifname, containerId });
  return change === "done" ? "done" : CHANGED;
}

/** A terminating pod releases its addresses itself. */
function whyNotLiving(pod: Pod | undefined): string | undefined {
  return podIsOver(pod, "") ?? (pod?.metadata.deletionTimestamp ? "its pod is terminating" : undefined);
}

function placeOfPod(pod: Pod | undefined): Partial<Owner> {
  const uid = pod && uidOf(pod);
  const node = pod?.spec?.nodeName;
  return { ...(uid && { podUid: uid }), ...(node && { node }) };
}
