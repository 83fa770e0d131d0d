import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { exists, isVf } from "../../kernel/sysfs.ts";
import type { Host } from "../host.ts";
import { findInPod } from "./find-link.ts";
import { identityOf } from "./identity.ts";
import { restoreState } from "./link-state/restore.ts";
import { Attempts } from "./owed.ts";
import { openOwnNetns } from "./own-netns.ts";
import { returnRdma } from "./rdma.ts";
import type { Attachment, Owed } from "./record.ts";
import { restoreLink, restoreUp } from "./restore-link.ts";
import { restoreMacs } from "./restore-mac.ts";
import { restorePf } from "./restore-pf.ts";
import { removeRules } from "./routes.ts";

/**
 * Restores a VF to its state before ADD: RDMA device, name, MAC, MTU, alias, altnames, up or down, and the settings at
 * the PF that ADD wrote. Undo of a failed ADD, DEL, replay after a crash and the reconciler all use this function.
 * Idempotent; every part is tried even if another failed; works when the namespace is gone and the VF fell back.
 *
 * @returns what could not be done: for a debt, or for the caller to report.
 */
export async function putBack(a: Attachment, host: Host): Promise<readonly Owed[]> {
  if (a.phase === "returned" || a.bootId !== host.bootId) return []; // a reboot has reset the VF; it may have a new owner
  const attempts = new Attempts();
  using netns = openOwnNetns(a, host);
  await attempts.try("rdma", () => returnRdma(a, netns, host));
  host.step("del-rdma-returned", a.ifname);
  if (netns && a.hasRules) takeRulesOut(a, netns, host);
  const isThere = isStillVf(a, host);
  if (isThere) {
    const link = await restoreLink(a, netns, host, attempts);
    if (link) await attempts.try("state", () => restoreState(a.original, link, host));
    await attempts.try("mac", () => restoreMacs(a, link, host));
    if (link) await attempts.try("up", () => restoreUp(a, link, host));
  }
  host.step("del-link-returned", a.ifname);
  if (isThere) await attempts.try("PF", () => restorePf(a, host, attempts));
  host.step("del-pf-restored", a.ifname);
  return attempts.owed;
}

/** Only VFs are ever written to, whatever a record says. */
function isStillVf({ device }: Attachment, { paths, log }: Host): boolean {
  if (isVf(paths.sysfs, device.pci)) return true;
  const why = exists(paths.sysfs, device.pci)
    ? "the device is not a VF"
    : "the VF no longer exists (sriov_numvfs changed, or its card is gone)";
  log.warn({ ...device, why }, "nothing is restored, only the addresses are released");
  return false;
}

/** Removes the rules. They end with the namespace anyway, and the VF's next pod would not meet them. */
function takeRulesOut(a: Attachment, netns: Fd, host: Host): void {
  try {
    using pod = inNetns(netns, () => new NetlinkSocket());
    removeRules(pod, a, a.rules ? undefined : findInPod(pod, identityOf(a, host))?.index);
  } catch (err) {
    host.log.warn({ err, containerID: a.containerId, ifname: a.ifname }, "policy rules stay in the pod's namespace");
  }
}
