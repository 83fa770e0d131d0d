import type { Host } from "../host.ts";
import { NO_MAC, setAdminMac } from "./mac.ts";
import type { Attachment } from "./record.ts";
import { lookAtOwnPf } from "./vf-at-pf.ts";

/**
 * The MAC at the PF of a VF with a userspace driver (vfio-pci): its application may have chosen another one through the
 * VF's mailbox, and some PFs keep that beyond the VF's reset. Restores the one that the PF showed at ADD. A PF that shows
 * none by now has forgotten it already.
 */
export async function restoreLeftMac(a: Attachment, host: Host): Promise<void> {
  const was = a.original.vf?.mac;
  if (was === undefined) return;
  const waiter = { clock: host.clock };
  const view = await lookAtOwnPf(a, host, waiter);
  const shown = view?.state?.mac;
  if (!view || shown === undefined || [was, NO_MAC].includes(shown)) return;
  await setAdminMac(host.rtnl, view.at, was, waiter);
}
