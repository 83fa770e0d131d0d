import { type Link, setLink } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns } from "../../kernel/netns.ts";
import { setVf, type VfState } from "../../kernel/vf.ts";
import { readConfig } from "../config.ts";
import type { Host } from "../host.ts";
import { emptyResult } from "../protocol/result.ts";
import { callOf } from "./detach.ts";
import { traitsOfPf } from "./drivers.ts";
import { tryLockAttachment, tryLockDevice } from "./exclusion.ts";
import { findInPod } from "./find-link.ts";
import { identityOf } from "./identity.ts";
import { Journal } from "./journal.ts";
import { openOwnNetns } from "./own-netns.ts";
import { isBusy, patiently } from "./patience.ts";
import type { Attachment } from "./record.ts";
import { routeMessages } from "./routes.ts";
import { isCutOff, lookAtOwnPf, type PfView } from "./vf-at-pf.ts";

/** An attachment, and whether its VF is to be taken down or brought back. */
export interface FenceOrder {
  readonly containerId: string;
  readonly ifname: string;
  readonly to: "fenced" | "lifted";
}

/** `busy`: another worker has it, try again. `gone`: the attachment does not exist, or no longer. */
export type FenceOutcome = "done" | "busy" | "gone";

/**
 * Takes an attachment's VF down, or brings it back up. Idempotent: a repeated call makes sure that the VF still is so. The
 * record says what is done before the kernel does it and until the kernel has undone it, so that a process that dies at
 * any moment leaves it to the next one, and DEL restores the VF as it was before ADD.
 *
 * @throws {Error} when it cannot be done now, or neither the PF's driver nor a link can do it.
 */
export async function obey({ to, ...who }: FenceOrder, host: Host): Promise<FenceOutcome> {
  using attachment = tryLockAttachment(who, host);
  if (!attachment) return "busy";
  const journal = new Journal(host.paths.stateDir);
  const a = journal.find(who.containerId, who.ifname);
  if (a?.phase !== "attached" || a.bootId !== host.bootId) return "gone";
  using device = tryLockDevice(a.device.pci, host);
  if (!device) return "busy";
  if (to === "fenced") await fence(a, journal, host);
  else if (a.fenced) await lift(a, journal, host);
  return "done";
}

async function fence(a: Attachment, journal: Journal, host: Host): Promise<void> {
  if (a.fenced?.at !== "pod" && (await fenceAtPf(a, journal, host))) return;
  await inPod(a, host, (pod, link) => {
    journal.update(a, { fenced: { at: "pod" }, applied: appliedByAdd(a) });
    if (link.up) pod.request(setLink(link.index, { up: false }, `set ${link.name} down`));
  });
}

/** @returns false when it cannot be done at the PF: the record is then unchanged. */
async function fenceAtPf(a: Attachment, journal: Journal, host: Host): Promise<boolean> {
  // With a closed mailbox the VF would stay deaf until its link is set down and up: then only the link is used.
  if (!a.original.vf?.linkState || traitsOfPf(a.device, host).closesMailbox) return false;
  const view = await lookAtOwnPf(a, host, { clock: host.clock });
  if (view?.isHidden && !isCutOff(view.at.vf)) throw new Error(`cannot fence ${a.device.pci}: it is in reset`);
  if (!view || !canSet(view)) return false;
  if (!a.fenced) noteAtPf(a, view.state?.linkState ?? "auto", journal);
  if (view.state?.linkState === "disable") return true;
  try {
    await setState(view, "disable", host);
    return true;
  } catch (error) {
    if (isBusy(error)) throw error;
    host.log.info({ ...a.device, err: error }, "the PF cannot take the VF down: setting its link down in the pod");
    return false;
  }
}

/** DEL restores at the PF what `applied` names. @param now the link state that the pod has had. */
function noteAtPf(a: Attachment, now: VfState["linkState"], journal: Journal): void {
  const isAdds = a.applied.linkState === undefined;
  const applied = { ...a.applied, ...(isAdds && { linkState: now }) };
  journal.update(a, { fenced: { at: "PF", ...(isAdds && { addsLinkState: true }) }, applied });
}

async function lift(a: Attachment, journal: Journal, host: Host): Promise<void> {
  if (a.fenced?.at === "PF") {
    const view = await lookAtOwnPf(a, host, { clock: host.clock });
    if (!view || !canSet(view)) throw new Error(`cannot lift the fence of ${a.device.pci}: its PF lists no such VF`);
    const { linkState = "auto" } = a.applied;
    if (view.state?.linkState !== linkState) await setState(view, linkState, host);
  } else await liftInPod(a, host);
  journal.update(a, { fenced: null, applied: appliedByAdd(a) });
}

function appliedByAdd({ applied, fenced }: Attachment): Attachment["applied"] {
  const { linkState: _, ...others } = applied;
  return fenced?.addsLinkState ? others : applied;
}

/** Routes were lost when the link went down; its addresses stayed (`keep_addr_on_down`), and so did its rules. */
async function liftInPod(a: Attachment, host: Host): Promise<void> {
  const call = callOf(a, "ADD", host);
  const config = readConfig({ ...call, config: { ...call.config, deviceID: a.device.pci } });
  const addresses = a.addresses ?? emptyResult();
  await inPod(a, host, async (pod, { index, name }) => {
    await patiently(() => pod.request(setLink(index, { up: true }, `set ${name} up`)), { clock: host.clock });
    pod.batch(routeMessages(index, addresses, config));
  });
}

/** @throws {Error} when the VF's link is not in the pod. */
async function inPod(
  a: Attachment,
  host: Host,
  act: (pod: NetlinkConnection, link: Link) => void | Promise<void>,
): Promise<void> {
  using netns = openOwnNetns(a, host);
  const none = () => new Error(`cannot find a link of VF ${a.device.pci} in the pod`);
  if (!netns || a.original.name === undefined) throw none();
  using pod = inNetns(netns, () => new NetlinkSocket());
  const link = findInPod(pod, identityOf(a, host));
  if (!link) throw none();
  await act(pod, link);
}

const setState = ({ at, pf }: PfView, linkState: VfState["linkState"], host: Host) =>
  patiently(
    () => host.rtnl.request(setVf(at.pfIndex, at.vf, { linkState }, `set VF ${at.vf} of ${pf.name} ${linkState}`)),
    { clock: host.clock },
  );

const canSet = ({ state, at }: PfView): boolean => state !== undefined || isCutOff(at.vf);
