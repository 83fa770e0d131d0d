import type { Link } from "../../kernel/link.ts";
import type { Host } from "../host.ts";
import { traitsOfPf } from "./drivers.ts";
import { clearAdminMac, NO_MAC, setAdminMac, setLinkMac } from "./mac.ts";
import type { Attachment } from "./record.ts";
import { restoreLeftMac } from "./restore-left-mac.ts";
import { isCutOff, lookAtOwnPf, type PfView } from "./vf-at-pf.ts";

/**
 * Restores the MACs of a VF: its link's, which must be down, and the administrative one if ADD set it. Most PFs show a VF's
 * own MAC where no administrator set one: writing that back would pin the VF for good, so the VF is released instead,
 * unless the driver said at ADD that it was pinned.
 *
 * @param link absent when the VF has none; then only the administrative MAC can be restored.
 */
export async function restoreMacs(a: Attachment, link: Link | undefined, host: Host): Promise<void> {
  const { original, applied } = a;
  if (original.name === undefined && applied.mac === undefined) return await restoreLeftMac(a, host);
  const own = original.mac;
  const isLinkWrong = link !== undefined && own !== undefined && link.mac !== own;
  const wasAdmin = applied.mac === undefined ? undefined : original.vf?.mac;
  if (!isLinkWrong && wasAdmin === undefined) return;
  const waiter = { clock: host.clock }; // even for an ADD that was given up
  const view = await lookAtOwnPf(a, host, waiter);
  const at = view && (view.state || view.isHidden) ? view.at : undefined;
  if (!isLinkWrong && view?.state?.mac === wasAdmin) return;
  const isFree = wasAdmin !== undefined && !original.pinned && [own, NO_MAC].includes(wasAdmin);
  let isCleared = false;
  if (at && isFree) await clearAdminMac(host.rtnl, at, waiter);
  if (isLinkWrong)
    await setLinkMac(host.rtnl, link.index, own, waiter, at, () => {
      isCleared = true;
    });
  if (!at) return;
  const wanted = wasAdmin === undefined ? (isCleared ? view?.state?.mac : undefined) : adminMacOf(a, wasAdmin, host);
  if (wanted === undefined || (isFree && (await isAsFree(a, wanted, host)))) return;
  await setAdminMac(host.rtnl, at, wanted, waiter, { isListed: !isCutOff(at.vf) });
}

/** A driver that derives the RDMA node GUID from it is never given none again: all VFs would get the same GUID. */
function adminMacOf({ original, device }: Attachment, was: string, host: Host): string {
  const { needsAdminMac } = traitsOfPf(device, host);
  return was === NO_MAC && needsAdminMac && original.mac !== undefined ? original.mac : was;
}

/** Whether the PF shows a released VF as it was: with its own MAC, or none until its link is up. */
async function isAsFree(a: Attachment, wanted: string, host: Host): Promise<boolean> {
  const { needsAdminMac } = traitsOfPf(a.device, host);
  const shown: PfView | undefined = await lookAtOwnPf(a, host, { clock: host.clock });
  return shown?.state?.mac === wanted || (!needsAdminMac && wanted !== NO_MAC);
}
