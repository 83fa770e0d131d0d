import type { Host } from "../host.ts";
import { NO_MAC, setAdminMac } from "./mac.ts";
import type { Attachment } from "./record.ts";
import { lookAtOwnPf } from "./vf-at-pf.ts";

/**
 * The MAC at the PF of a VF that userspace drives (vfio-pci): its application may have chosen another one by the VF's mailbox,
 * and some PFs keep that beyond the VF's reset. It is the one that the PF showed at ADD again. A PF that shows none by now has
 * forgotten it by itself.
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
