import { noteAndRelease } from "../../ipam/del.ts";
import type { IpamHost } from "../../ipam/host.ts";
import { ClaimJournal, type ClaimRecord } from "../../ipam/journal.ts";
import { lockAttachment } from "../../ipam/lock.ts";
import type { Owner } from "../../ipam/store/store.ts";

type Who = Pick<Owner, "containerId" | "ifname">;

/** What a node knows of its own sandboxes. */
export interface Sandboxes {
  readonly journal: ClaimJournal;
  /** Whether the sandbox of an attachment runs. */
  isAlive(record: ClaimRecord): boolean;
  /**
   * Ends an attachment whose DEL never came: its addresses are given back, its record forgotten. Idempotent. An ADD that
   * still runs holds the lock: what it makes of the record stays.
   */
  end(record: ClaimRecord): Promise<void>;
  /** Whether this agent has given back all that an attachment had, and no ADD of it has begun since. */
  isReleased(who: Who): boolean;
  /** Excludes every call of an attachment. */
  lock(who: Who): Promise<Disposable>;
}

/** By the namespaces that ADD saw: the same path and the same inode. */
export function sandboxesOf(host: IpamHost): Sandboxes {
  const journal = new ClaimJournal(host.stateDir);
  const isAlive = ({ netns, netnsInode }: ClaimRecord): boolean => {
    const inode = host.inode(netns);
    return netnsInode === 0 ? inode !== 0 : inode === netnsInode;
  };
  return {
    journal,
    isAlive,
    async end({ owner, phase }) {
      using _lock = await lockAttachment(owner, host);
      const now = journal.find(owner.containerId, owner.ifname);
      if (now && now.phase === phase && phase !== "releasing" && !isAlive(now))
        await noteAndRelease(now, journal, host);
    },
    isReleased: ({ containerId, ifname }) =>
      host.wasReleased(containerId, ifname) && !journal.find(containerId, ifname),
    lock: (who) => lockAttachment(who, host),
  };
}
