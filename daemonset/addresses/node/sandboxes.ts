import { noteAndRelease } from "../../../ipam/del.ts";
import type { IpamHost } from "../../../ipam/host.ts";
import { ClaimJournal, type ClaimRecord } from "../../../ipam/journal.ts";
import { lockAttachment } from "../../../ipam/lock.ts";
import { isAlive } from "../../../ipam/sandbox.ts";
import type { Owner } from "../../../ipam/store/store.ts";

type Who = Pick<Owner, "containerId" | "ifname">;

/** What a node knows of its own sandboxes. */
export interface Sandboxes {
  readonly journal: ClaimJournal;
  /** Whether the sandbox of an attachment is running. */
  isAlive(record: ClaimRecord): boolean;
  /**
   * Ends an attachment whose DEL never came: releases its addresses, deletes its record. Idempotent. An ADD that is still
   * running holds the lock: what it makes of the record stays.
   */
  end(record: ClaimRecord): Promise<void>;
  /** Whether this agent has released everything that an attachment had, and no ADD of it has begun since. */
  isReleased(who: Who): boolean;
  /** Excludes every call of an attachment. */
  lock(who: Who): Promise<Disposable>;
}

export function sandboxesOf(host: IpamHost): Sandboxes {
  const journal = new ClaimJournal(host.stateDir);
  return {
    journal,
    isAlive: (record) => isAlive(record, host),
    async end({ owner, phase }) {
      using _lock = await lockAttachment(owner, host);
      const now = journal.find(owner.containerId, owner.ifname);
      if (now && now.phase === phase && phase !== "releasing" && !isAlive(now, host))
        await noteAndRelease(now, journal, host);
    },
    isReleased: ({ containerId, ifname }) =>
      host.wasReleased(containerId, ifname) && !journal.find(containerId, ifname),
    lock: (who) => lockAttachment(who, host),
  };
}
