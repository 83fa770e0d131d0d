import type { IpamHost } from "./host.ts";
import type { ClaimJournal, ClaimRecord } from "./journal.ts";
import type { Store } from "./store/store.ts";

/**
 * Gives back all that a record names, then forgets it. Idempotent, and never touches what belongs to another interface
 * or a newer sandbox. The caller holds the attachment's lock.
 *
 * @throws {StoreError} at the first failure; the record stays for the next try.
 */
export async function release(
  record: ClaimRecord,
  store: Store,
  journal: ClaimJournal,
  host: Pick<IpamHost, "step" | "log">,
): Promise<void> {
  const { owner, addresses, search = [] } = record;
  const found = await Promise.all(search.map((pool) => store.find(pool, owner)));
  for (const claim of [...addresses.map((a) => ({ ...a, owner })), ...found.flat()]) {
    const outcome = await store.release(claim);
    host.step("ipam-release-claim-released");
    const { podref, ifname, containerId } = claim.owner;
    host.log.info(
      { ip: claim.ip, pool: claim.pool.name, podref, ifname, containerID: containerId, outcome },
      "released",
    );
  }
  journal.forget(record);
  host.step("ipam-release-forgotten");
}
