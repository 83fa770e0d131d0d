import { noteAndRelease } from "../../ipam/del.ts";
import type { IpamHost } from "../../ipam/host.ts";
import { ClaimJournal, type ClaimRecord } from "../../ipam/journal.ts";
import { lockAttachment } from "../../ipam/lock.ts";

/** What a node knows of its own sandboxes. */
export interface Sandboxes {
  readonly journal: ClaimJournal;
  /** Whether the sandbox of an attachment runs. */
  isAlive(record: ClaimRecord): boolean;
  /** Ends an attachment whose DEL never came: its addresses are given back, its record forgotten. Idempotent. */
  end(record: ClaimRecord): Promise<void>;
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
    async end({ owner }) {
      using _lock = await lockAttachment(owner, host);
      const now = journal.find(owner.containerId, owner.ifname);
      if (now && now.phase !== "releasing" && !isAlive(now)) await noteAndRelease(now, journal, host);
    },
  };
}
