import type { IpamHost } from "./host.ts";
import { claimKey } from "./journal.ts";

/** Excludes ADD, DEL, GC and the release queue of one attachment from each other. */
export function lockAttachment(
  { containerId, ifname }: { readonly containerId: string; readonly ifname: string },
  host: Pick<IpamHost, "lock">,
): Promise<Disposable> {
  return host.lock(`ipam-${claimKey(containerId, ifname)}`, `the addresses of ${containerId} (${ifname})`);
}
