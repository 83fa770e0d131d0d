import { type Lock, Locks } from "../../records/lock.ts";
import { attachmentKey } from "../../records/record-files.ts";
import type { Host } from "../host.ts";

/** Shorter than every runtime's own limit. */
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

/**
 * Locks what one call attaches: under the name that the runtime knows, and under each of its interfaces, which the
 * reconciler locks.
 */
export async function lockAttachments(
  call: Who,
  all: readonly Who[],
  verb: "ADD" | "DEL",
  host: Host,
): Promise<Disposable> {
  const names = [...new Set([call.ifname, ...all.map(({ ifname }) => ifname)])];
  return await lockAll(names, (ifname) => lockAttachment({ containerId: call.containerId, ifname }, verb, host));
}

/** Locks VFs, always after the attachments, and in the order of their addresses, so that no two calls deadlock. */
export async function lockDevices(pcis: readonly string[], verb: "ADD" | "DEL", host: Host): Promise<Disposable> {
  return await lockAll([...pcis].sort(), (pci) => lockDevice(pci, verb, host));
}

async function lockAll(names: readonly string[], lock: (name: string) => Promise<Lock>): Promise<Disposable> {
  using held = new DisposableStack();
  for (const name of names) held.use(await lock(name));
  return held.move();
}

/** Like lockAttachment, for the reconciler, which does not wait: a lock that is held means that someone is at work. */
export function tryLockAttachment(who: Who, host: Host): Lock | undefined {
  return locks(host).tryAcquire(attachmentLock(who.containerId, who.ifname));
}

/** Like lockDevice, for the reconciler. */
export function tryLockDevice(pci: string, host: Pick<Host, "paths">): Lock | undefined {
  return locks(host).tryAcquire(deviceLock(pci));
}

/** Removes what killed processes left: container IDs are never reused, so their lock files would pile up. */
export function sweepLocks(host: Host): void {
  locks(host).sweep();
}

const locks = (host: Pick<Host, "paths">) => new Locks(host.paths.runDir);
