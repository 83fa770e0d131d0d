import type { Link } from "../../kernel/link.ts";
import { ATTACH_CODE } from "../codes.ts";
import type { Host } from "../host.ts";
import { CniError, CODE } from "../protocol/error.ts";
import { detach, giveBackDevice } from "./detach.ts";
import { lockDevice, tryLockAttachment } from "./exclusion.ts";
import { isInPod } from "./find-link.ts";
import { foreignOwner } from "./foreign.ts";
import { Journal } from "./journal.ts";
import { inWords } from "./owed.ts";
import { openOwnNetns } from "./own-netns.ts";
import { type Attachment, describe } from "./record.ts";
import { giveBack, settle } from "./settle.ts";
import { strayAtHome } from "./stray.ts";

/**
 * Makes sure that an ADD starts from scratch: a record left behind by a dead ADD or a failed DEL is finished first, since
 * only it knows the VF's original state. The caller holds the attachment's lock.
 *
 * @throws {CniError} 102 when the attachment is alive: a second ADD without DEL.
 */
export async function finishLeftover(who: Pick<Attachment, "containerId" | "ifname">, host: Host): Promise<void> {
  const left = new Journal(host.paths.stateDir).find(who.containerId, who.ifname);
  if (!left) return;
  if (left.phase === "attached" && isAlive(left, host))
    throw new CniError(
      ATTACH_CODE.IN_USE,
      `cannot attach: ${describe(left)} already has VF ${left.device.pci}; DEL it first`,
    );
  using _device = await lockDevice(left.device.pci, "ADD", host);
  await detach(left, host);
}

/**
 * Makes sure that a VF is free and in its original state. A record whose owner is gone is cleaned up; its addresses stay
 * for its own DEL. What the VF is owed is settled. The caller holds the VF's lock.
 *
 * @throws {CniError} 102 naming the owner; 11 while the owner is being detached; 101 when a debt cannot be settled.
 */
export async function freeDevice(pci: string, host: Host): Promise<void> {
  const journal = new Journal(host.paths.stateDir);
  for (const owner of journal.activeOwners(pci, host.bootId)) {
    if (owner.phase === "attached" && isAlive(owner, host))
      throw new CniError(ATTACH_CODE.IN_USE, `cannot attach ${pci}: it is in use by ${describe(owner)}`);
    using lock = tryLockAttachment(owner, host);
    if (!lock)
      throw new CniError(CODE.TRY_AGAIN_LATER, `cannot attach ${pci}: it is being detached from ${describe(owner)}`);
    host.log.warn({ pci, containerID: owner.containerId, ifname: owner.ifname }, "VF reclaimed: its owner is gone");
    await giveBackDevice(owner, host, journal);
  }
  const foreign = foreignOwner(pci, host);
  if (foreign)
    throw new CniError(
      ATTACH_CODE.IN_USE,
      `cannot attach ${pci}: it is in use by sriov-cni in network namespace ${foreign}`,
    );
  await settleFirst(pci, host);
}

/** Restores a VF that fell back to the host and whose record is lost. @returns whether it was one, and now has another link. */
export async function putStrayRight(pci: string, link: Link, host: Host): Promise<boolean> {
  const stray = strayAtHome(pci, link, host);
  if (!stray) return false;
  host.log.warn({ pci, name: link.name }, "the VF returned from a pod without a record: restoring it first");
  await giveBack(stray, host);
  await settleFirst(pci, host);
  return true;
}

async function settleFirst(pci: string, host: Host): Promise<void> {
  const settlement = await settle(pci, host);
  if (settlement?.is !== "open") return;
  const { owed, ...left } = settlement.debt;
  throw new CniError(
    ATTACH_CODE.DEVICE_UNUSABLE,
    `cannot attach ${pci}: it is not fully restored since ${describe(left)} had it: ${inWords(owed)}; ` +
      "Railnet retries on carrier, when a driver is bound, and every 20 seconds",
  );
}

/** Whether an attachment still has its VF: its set, if any, was attached completely, its namespace exists and, unless a userspace driver has the VF, contains its link. */
function isAlive(a: Attachment, host: Host): boolean {
  if (a.bootId !== host.bootId || !new Journal(host.paths.stateDir).isWhole(a)) return false;
  using netns = openOwnNetns(a, host);
  return netns !== undefined && isInPod(a, netns, host);
}
