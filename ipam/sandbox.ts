import type { IpamHost } from "./host.ts";
import type { ClaimRecord } from "./journal.ts";

/** Whether the sandbox of an attachment is running, by the namespace that its ADD saw: same path and same inode. */
export function isAlive({ netns, netnsInode }: ClaimRecord, host: Pick<IpamHost, "inode">): boolean {
  const inode = host.inode(netns);
  return netnsInode === 0 ? inode !== 0 : inode === netnsInode;
}
