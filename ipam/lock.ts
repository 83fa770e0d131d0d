import { attachmentKey } from "../records/record-files.ts";
import type { IpamHost } from "./host.ts";

/** Excludes ADD, DEL, GC and the release queue of one attachment from each other. */
export function lockAttachment(
  { containerId, ifname }: { readonly containerId: string; readonly ifname: string },
  host: Pick<IpamHost, "lock">,
): Promise<Disposable> {
  return host.lock(`ipam-${attachmentKey(containerId, ifname)}`, `the addresses of ${containerId} (${ifname})`);
}
