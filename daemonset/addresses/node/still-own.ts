import type { ClaimJournal, ClaimRecord } from "../../../ipam/journal.ts";
import type { Claim, Owner, Store } from "../../../ipam/store/store.ts";
import { isNobody } from "../../../ipam/whereabouts/quarantine.ts";

/** An address of an attachment that now belongs to another. */
export interface Lost {
  readonly ip: string;
  readonly pool: string;
  readonly holder: Owner;
}

/**
 * Whether the addresses of a sandbox are still its own, according to the server. One that nobody has, or that is in
 * quarantine, is taken back; what another sandbox has is never taken away from it.
 *
 * @returns the first that is lost.
 * @throws {StoreError} if this cannot be determined.
 */
export async function lostOf(
  { owner, addresses }: ClaimRecord,
  store: Store,
  journal: ClaimJournal,
  signal: AbortSignal,
): Promise<Lost | undefined> {
  for (const address of addresses) {
    const claim: Claim = { ...address, owner };
    const holder = await holderOf(claim, store, journal, signal);
    if (holder) return { ip: claim.ip, pool: claim.pool.name, holder };
  }
  return undefined;
}

/** Undefined if the claim's own sandbox has it. */
async function holderOf(claim: Claim, store: Store, journal: ClaimJournal, signal: AbortSignal) {
  const { pool, ip, owner } = claim;
  const found = await store.holder(pool, ip, signal);
  if (found && !isNobody(found.podref)) return isSandbox(found, owner) ? undefined : found;
  const other = await store.claim({ ...claim, isHeld: true, onQuarantined: () => {} }, signal);
  if (other) return other;
  if (journal.find(owner.containerId, owner.ifname)?.phase === "held") return undefined;
  await store.release(claim, signal); // its DEL came meanwhile
  return owner;
}

/** Whereabouts before 0.8 wrote no interface. */
const isSandbox = (holder: Owner, { podref, ifname, containerId }: Owner): boolean =>
  holder.podref === podref && holder.containerId === containerId && (!holder.ifname || holder.ifname === ifname);
