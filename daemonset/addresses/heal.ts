import { handOver } from "../../ipam/store/kubernetes/reservations.ts";
import type { Claim } from "../../ipam/store/store.ts";
import { reservationName } from "../../ipam/whereabouts/names.ts";
import { ownerOfReservation, type Reservation, toReservation } from "../../ipam/whereabouts/objects.ts";
import { isQuarantined } from "../../ipam/whereabouts/quarantine.ts";
import { ApiError, RESERVATIONS } from "../../kubernetes/cluster.ts";
import type { ClusterAddresses } from "./context.ts";
import { healing } from "./node/plan-heal.ts";

/** If another program keeps creating and deleting the reservation, the next look sees how that ended. */
const MAX_TRIES = 3;

/**
 * Restores the reservation of a running pod, and beside a running Whereabouts its record too. What another interface has
 * taken meanwhile is never taken away from it.
 *
 * @param isStillHeld called after the reservation was created: if a DEL has come meanwhile, it is deleted again.
 * @throws {ApiError | StoreError}
 */
export async function heal(
  claim: Claim,
  isStillHeld: () => boolean,
  context: ClusterAddresses,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const found = await reservationOf(claim, context, signal);
    if (found && isQuarantined(found)) {
      if (await takeBack(claim, found, context, signal)) return;
      continue;
    }
    const holder = found && ownerOfReservation(found);
    const verdict = healing(claim, holder);
    if (verdict === "duplicate")
      return context.told.duplicate({ ...claim, pool: claim.pool.name, user: claim.owner, holder: holder! });
    if (verdict === "leave")
      return holder!.containerId === claim.owner.containerId ? await record(claim, context, signal) : undefined;
    if (await make(claim, isStillHeld, context, signal)) return await record(claim, context, signal);
    if (!isStillHeld()) return;
  }
}

const reservationOf = ({ pool, ip }: Claim, { cluster }: ClusterAddresses, signal: AbortSignal) =>
  cluster.get<Reservation>(RESERVATIONS, reservationName(pool.network, ip), { signal });

/** The node had been silent for long, and is alive after all. @returns false if another was faster. */
async function takeBack(
  claim: Claim,
  found: Reservation,
  context: ClusterAddresses,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await context.cluster.patch(RESERVATIONS, found.metadata.name, handOver(found, claim), { signal });
  } catch (error) {
    if (error instanceof ApiError && [404, 409, 422].includes(error.status)) return false;
    throw error;
  }
  context.told.putBack(claim);
  return true;
}

/** @returns false if there is none now: another was faster, or nobody needs it any more. */
async function make(
  claim: Claim,
  isStillHeld: () => boolean,
  context: ClusterAddresses,
  signal: AbortSignal,
): Promise<boolean> {
  const { cluster } = context;
  const made = await cluster.create<Reservation>(RESERVATIONS, toReservation(claim), { signal }).catch(unlessTaken);
  if (!made) return false;
  const { name, uid = "", resourceVersion = "" } = made.metadata;
  if (!isStillHeld()) {
    await cluster.delete(RESERVATIONS, name, { uid, resourceVersion }, { signal });
    return false;
  }
  context.told.putBack(claim);
  return true;
}

function unlessTaken(error: unknown): undefined {
  if (error instanceof ApiError && error.status === 409) return undefined;
  throw error;
}

/** To a running Whereabouts an address without a record is free. The reservation is ours: only the record is written. */
async function record(claim: Claim, { mode, store, told }: ClusterAddresses, signal: AbortSignal): Promise<void> {
  if (mode() !== "coexist") return;
  const holder = await store.claim({ ...claim, isHeld: true }, signal);
  if (holder) told.duplicate({ ...claim, pool: claim.pool.name, user: claim.owner, holder });
}
