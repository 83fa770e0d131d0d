import type { Host } from "../host.ts";
import type { Link } from "../kernel/link.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { inNetns } from "../kernel/netns.ts";
import type { Fd } from "../kernel/syscall.ts";
import { exists } from "../kernel/sysfs.ts";
import { findLink } from "./find-link.ts";
import { restoreState } from "./link-state/restore.ts";
import { openOwnNetns } from "./own-netns.ts";
import { returnRdma } from "./rdma.ts";
import type { Attachment } from "./record.ts";
import { bringHome, restoreLink, restoreUp, withHomeName } from "./restore-link.ts";
import { restoreMacs } from "./restore-mac.ts";
import { restorePf } from "./restore-pf.ts";
import { removeRules } from "./routes.ts";

/**
 * Puts a VF back as it was before ADD: RDMA device, name, MAC, MTU, alias, altnames, up or down, and the settings at
 * the PF that ADD wrote. Undo of a failed ADD, DEL, replay after a crash and the reconciler are all this function.
 * Idempotent; every part is tried even when another failed; works when the namespace is gone and the VF fell back.
 *
 * @throws the first failure; the record must then be kept.
 */
export async function putBack(a: Attachment, host: Host): Promise<void> {
  if (a.phase === "returned" || a.bootId !== host.bootId) return; // a reboot has reset the VF; it may have a new owner
  const failures: unknown[] = [];
  const attempt = async (part: () => void | Promise<void>) => {
    try {
      await part();
    } catch (error) {
      failures.push(error);
    }
  };
  using netns = openOwnNetns(a, host);
  if (netns) await attempt(() => returnRdma(a, netns));
  host.step("del-rdma-returned");
  if (netns && a.hasRules) await attempt(() => takeRulesOut(a, netns));
  let link: Link | undefined;
  if (exists(host.paths.sysfs, a.device.pci)) {
    await attempt(async () => {
      const home = { ...a, original: withHomeName(a, netns, host) };
      if (netns) await attempt(() => bringHome(home, netns));
      link = restoreLink(home, host);
    });
    const whole = link;
    if (whole) await attempt(() => restoreState(a.original, whole, host));
    await attempt(() => restoreMacs(a, link, host));
    if (whole) await attempt(() => restoreUp(a, whole, host));
  } else host.log.warn(a.device, "the VF is no more (sriov_numvfs, or its card): only its addresses are released");
  host.step("del-link-returned");
  await attempt(() => restorePf(a, host));
  host.step("del-pf-restored");
  if (failures.length > 0) throw failures[0];
}

function takeRulesOut(a: Attachment, netns: Fd): void {
  using pod = inNetns(netns, () => new NetlinkSocket());
  removeRules(pod, a, a.rules ? undefined : findLink(pod, a.device, a.ifname)?.index);
}
