import type { ClaimRecord } from "../../../ipam/journal.ts";
import type { Claim, Owner } from "../../../ipam/store/store.ts";
import { reservationName } from "../../../ipam/whereabouts/names.ts";
import { labelValue } from "../../../ipam/whereabouts/objects.ts";

/** The claims of a journal record that need a reservation: those of an attachment whose ADD completed. */
export function claimsToKeep({ phase, storage, owner, addresses }: ClaimRecord): Claim[] {
  if (phase !== "held" || storage.kind !== "kubernetes") return [];
  return addresses.filter(({ pool }) => pool.overlapping).map((address) => ({ ...address, owner }));
}

/** Those of these claims that have no reservation of that name. Pure. */
export const missing = (claims: readonly Claim[], has: (reservation: string) => boolean): Claim[] =>
  claims.filter(({ pool, ip }) => !has(reservationName(pool.network, ip)));

/**
 * What to do about a running attachment's claim whose reservation is missing. `make`: nobody has it; `leave`: the same
 * interface has it, in this sandbox or a newer one of its pod; `duplicate`: another one took it, including a pod of the
 * same name with another UID, and it is never taken away.
 */
export function healing(claim: Claim, holder: Owner | undefined): "make" | "leave" | "duplicate" {
  if (!holder) return "make";
  const { podref, ifname, podUid } = claim.owner;
  if (holder.podref !== podref || (holder.ifname && holder.ifname !== ifname)) return "duplicate";
  return podUid && holder.podUid && labelValue(podUid) !== holder.podUid ? "duplicate" : "leave";
}
