import { ATTACH_CODE } from "../codes.ts";
import type { Host } from "../host.ts";
import { CniError, CODE } from "../protocol/error.ts";
import { attachmentKey } from "../records/record-files.ts";
import { detach, giveBackDevice } from "./detach.ts";
import { isInPod } from "./find-link.ts";
import { foreignOwner } from "./foreign.ts";
import { Journal } from "./journal.ts";
import { type Lock, Locks } from "./lock.ts";
import { openOwnNetns } from "./own-netns.ts";
import { type Attachment, describe } from "./record.ts";

/** Bounded, below every runtime's own limit. */
const ADD_WAIT_MS = 20_000;
const DEL_WAIT_MS = 40_000;

const attachmentLock = (containerId: string, ifname: string) => `attachment-${attachmentKey(containerId, ifname)}`;
const deviceLock = (pci: string) => `vf-${pci}`;

type Who = { readonly containerId: string; readonly ifname: string };

/** Locks one attachment. ADD, DEL, CHECK and the reconciler of one attachment exclude each other. */
export function lockAttachment(who: Who, verb: "ADD" | "DEL", host: Host): Promise<Lock> {
  const waitMs = verb === "ADD" ? ADD_WAIT_MS : DEL_WAIT_MS;
  const signal = verb === "ADD" ? host.signal : undefined;
  return locks(host).acquire(
    attachmentLock(who.containerId, who.ifname),
    `${who.containerId} (${who.ifname})`,
    waitMs,
    signal,
  );
}

/** Locks a VF, always after the attachment. */
export function lockDevice(pci: string, verb: "ADD" | "DEL", host: Host): Promise<Lock> {
  return locks(host).acquire(
    deviceLock(pci),
    `VF ${pci}`,
    verb === "ADD" ? ADD_WAIT_MS : DEL_WAIT_MS,
    verb === "ADD" ? host.signal : undefined,
  );
}

/** As lockAttachment, for the reconciler: what is held is somebody's running work. */
export function tryLockAttachment(who: Who, host: Host): Lock | undefined {
  return locks(host).tryAcquire(attachmentLock(who.containerId, who.ifname));
}

/** As lockDevice, for the reconciler. */
export function tryLockDevice(pci: string, host: Pick<Host, "paths">): Lock | undefined {
  return locks(host).tryAcquire(deviceLock(pci));
}

/** What killed processes left: names of containers never come again, so their lock files would pile up. */
export function sweepLocks(host: Host): void {
  locks(host).sweep();
}

const locks = (host: Pick<Host, "paths">) => new Locks(host.paths.runDir);

/**
 * Makes sure that an ADD starts from nothing: a record that a dead ADD or a failed DEL left is finished first, since
 * only it knows the VF's original state. The caller holds the attachment's lock.
 *
 * @throws {CniError} 102 when the attachment is alive: a second ADD without DEL.
 */
export async function finishLeftover(who: Who, host: Host): Promise<void> {
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
 * Makes sure that a VF is free. A record of an owner that is gone is worked off; its addresses stay for its own DEL.
 * The caller holds the VF's lock.
 *
 * @throws {CniError} 102 naming the owner; 11 when the owner is just being detached.
 */
export async function freeDevice(pci: string, host: Host): Promise<void> {
  const journal = new Journal(host.paths.stateDir);
  for (const owner of journal.activeOwners(pci, host.bootId)) {
    if (owner.phase === "attached" && isAlive(owner, host))
      throw new CniError(ATTACH_CODE.IN_USE, `cannot attach ${pci}: it is in use by ${describe(owner)}`);
    using lock = tryLockAttachment(owner, host);
    if (!lock)
      throw new CniError(
        CODE.TRY_AGAIN_LATER,
        `cannot attach ${pci}: it is just being detached from ${describe(owner)}`,
      );
    host.log.warn(
      { pci, containerID: owner.containerId, ifname: owner.ifname },
      "VF taken back from an owner that is gone",
    );
    await giveBackDevice(owner, host, journal);
  }
  const foreign = foreignOwner(pci, host);
  if (foreign)
    throw new CniError(
      ATTACH_CODE.IN_USE,
      `cannot attach ${pci}: it is in use by sriov-cni in network namespace ${foreign}`,
    );
}

/** Whether an attachment still has its VF: its namespace is there and, unless userspace drives the VF, its link in it. */
function isAlive(a: Attachment, host: Host): boolean {
  if (a.bootId !== host.bootId) return false;
  using netns = openOwnNetns(a, host);
  return netns !== undefined && isInPod(a, netns);
}
