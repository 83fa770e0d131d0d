import { noteAndRelease } from "../../ipam/del.ts";
import type { IpamHost } from "../../ipam/host.ts";
import { ClaimJournal, type ClaimRecord } from "../../ipam/journal.ts";
import { lockAttachment } from "../../ipam/lock.ts";

/** What a node knows of its own sandboxes. */
export interface Sandboxes {
  readonly journal: ClaimJournal;
  /**
   * Whether a sandbox runs here.
   *
   * @param record what the journal has of the attachment; undefined when it has nothing: then what it has of the
   * sandbox's others tells.
   */
  isAlive(containerId: string, record: ClaimRecord | undefined): boolean;
  /** Ends an attachment whose DEL never came: its addresses are given back, its record forgotten. Idempotent. */
  end(record: ClaimRecord): Promise<void>;
}

/** By the namespaces that ADD saw: the same path and the same inode. */
export function sandboxesOf(host: IpamHost): Sandboxes {
  const journal = new ClaimJournal(host.stateDir);
  const hasNetns = ({ netns, netnsInode }: ClaimRecord): boolean => {
    const inode = host.inode(netns);
    return netnsInode === 0 ? inode !== 0 : inode === netnsInode;
  };
  return {
    journal,
    isAlive(containerId, record) {
      if (record) return hasNetns(record);
      for (const other of journal.all()) if (other.owner.containerId === containerId && hasNetns(other)) return true;
      return false;
    },
    async end({ owner }) {
      using _lock = await lockAttachment(owner, host);
      const now = journal.find(owner.containerId, owner.ifname);
      if (now?.phase === "held" && !hasNetns(now)) await noteAndRelease(now, journal, host);
    },
  };
}
