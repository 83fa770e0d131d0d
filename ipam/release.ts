import type { IpamHost } from "./host.ts";
import { type ClaimJournal, type ClaimRecord, SETTLE_MS } from "./journal.ts";
import type { Released, Store } from "./store/store.ts";

/**
 * Releases everything that a record names, then deletes it. Idempotent, and never touches what belongs to another
 * interface or a newer sandbox. The caller holds the attachment's lock.
 *
 * @param isSettled whether no request of its ADD can still arrive. Default: by the wall clock.
 * @returns false if one may, and nothing was there yet: the record stays, and must be released once more then.
 * @throws {StoreError} at the first failure; the record stays for the next attempt.
 */
export async function release(
  record: ClaimRecord,
  store: Store,
  journal: ClaimJournal,
  host: Pick<IpamHost, "step" | "log">,
  isSettled = Date.now() - Date.parse(record.since) >= SETTLE_MS,
): Promise<boolean> {
  const { owner, addresses, search = [] } = record;
  const found = await Promise.all(search.map((pool) => store.find(pool, owner)));
  const outcomes: Released[] = [];
  const ending = { owner, ...(record.unfinished && { isUnfinished: true }) };
  for (const claim of [...addresses.map((a) => ({ ...a, ...ending })), ...found.flat()]) {
    const outcome = await store.release(claim);
    outcomes.push(outcome);
    host.step("ipam-release-claim-released");
    const { podref, ifname, containerId } = claim.owner;
    host.log.info(
      { ip: claim.ip, pool: claim.pool.name, podref, ifname, containerID: containerId, outcome },
      "released",
    );
  }
  if (record.unfinished === "unclear" && !isSettled && outcomes.includes("absent")) return false;
  journal.forget(record);
  host.step("ipam-release-forgotten");
  return true;
}
