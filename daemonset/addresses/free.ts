import type { Claim } from "../../ipam/store/store.ts";
import { reservationName } from "../../ipam/whereabouts/names.ts";
import { ADOPTED, type Reservation } from "../../ipam/whereabouts/objects.ts";
import { toQuarantine } from "../../ipam/whereabouts/quarantine.ts";
import { ApiError, IP_POOLS, RESERVATIONS } from "../../kubernetes/cluster.ts";
import type { ClusterAddresses, Context } from "./context.ts";
import type { GcPlan } from "./plan-gc.ts";
import { ipOf, rangeOfName } from "./record-location.ts";
import type { Reserved } from "./reserved.ts";

/**
 * Frees an address whose pod is gone, if its reservation is still the one that was judged; reports the evidence. Where
 * records count (beside a running Whereabouts, and in pools that are not adopted) its record goes too, if the claim is ours.
 *
 * @param isAdopted what is known of pools; pass the same one for many addresses at once.
 * @throws {ApiError | StoreError}
 */
export async function free(
  due: GcPlan["due"][number],
  context: ClusterAddresses,
  signal: AbortSignal,
  isAdopted = adoptions(context, signal),
): Promise<void> {
  const claim = claimOf(due.reserved);
  const isByRecord = claim && (context.mode() === "coexist" || !(await isAdopted(claim.pool.name)));
  const isFreed = isByRecord
    ? await release(claim, due.reserved, context, signal)
    : await remove(due.reserved, context, signal);
  if (isFreed) context.told.freed(due);
}

/**
 * Puts an address into quarantine: its pod is gone, and nothing proves that its sandbox is. Beside a running Whereabouts,
 * which has no quarantine, it is freed.
 *
 * @throws {ApiError | StoreError}
 */
export async function quarantine(
  due: GcPlan["due"][number],
  context: ClusterAddresses,
  signal: AbortSignal,
): Promise<void> {
  if (context.mode() === "coexist") return free(due, context, signal);
  const { cluster } = context;
  const { metadata } = due.reserved;
  try {
    await cluster.mergePatch(RESERVATIONS, metadata.name, toQuarantine(metadata, Date.now()), { signal });
  } catch (error) {
    if (error instanceof ApiError && [404, 409, 422].includes(error.status)) return;
    throw error;
  }
  context.told.freed(due);
}

/** A function that asks about each pool once: whether a reservation is all that represents an address of it. */
export function adoptions(
  { cluster }: Pick<Context, "cluster">,
  signal: AbortSignal,
): (pool: string) => Promise<boolean> {
  const asked = new Map<string, Promise<boolean>>();
  const ask = async (pool: string) => {
    const found = await cluster.get(IP_POOLS, pool, { signal, metadataOnly: true });
    return !found || found.metadata.annotations?.[ADOPTED] !== undefined; // a pool that is gone has no records
  };
  return (pool) => {
    const known = asked.get(pool) ?? ask(pool);
    asked.set(pool, known);
    return known;
  };
}

/** Ends the quarantine of addresses that nobody took and whose time is over. @throws {ApiError} */
export async function endQuarantine(
  reserved: Reserved,
  context: Pick<Context, "cluster" | "log">,
  signal: AbortSignal,
): Promise<void> {
  const { pool, metadata } = reserved;
  if (await remove(reserved, context, signal))
    context.log.info({ reservation: metadata.name, pool }, "quarantine has ended: address free");
}

/** @returns false if it has changed, or is already gone. */
async function remove(
  { metadata: { name, uid, resourceVersion } }: Reserved,
  { cluster }: Pick<Context, "cluster">,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    return await cluster.delete(RESERVATIONS, name, { uid, resourceVersion }, { signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false;
    throw error;
  }
}

async function release(
  claim: Claim,
  seen: Reserved,
  { cluster, store }: Pick<Context, "cluster" | "store">,
  signal: AbortSignal,
): Promise<boolean> {
  const now = await cluster.get<Reservation>(RESERVATIONS, seen.metadata.name, { signal });
  if (now?.metadata.uid !== seen.metadata.uid || now.metadata.resourceVersion !== seen.metadata.resourceVersion)
    return false;
  return (await store.release(claim, signal)) === "released";
}

/** The claim that a reservation of ours represents; undefined for Whereabouts' own, or if the names do not tell. */
export function claimOf(reserved: Reserved): Claim | undefined {
  const { pool: name, network, podref, ifname, containerId, podUid, node } = reserved;
  const cidr = name && rangeOfName(name, reserved);
  if (!cidr) return undefined;
  const pool = { name, cidr, network, overlapping: true };
  const ip = ipOf(reserved, pool);
  const owner = { podref, ifname, containerId, ...(podUid && { podUid }), ...(node && { node }) };
  return ip && reservationName(network, ip) === reserved.metadata.name ? { pool, ip, owner } : undefined;
}
