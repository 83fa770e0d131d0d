import type { Link } from "../../kernel/link.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { readConfig } from "../config.ts";
import type { Host } from "../host.ts";
import type { Call } from "../protocol/request.ts";
import { emptyResult } from "../protocol/result.ts";
import { callOf } from "./detach.ts";
import { linkAtHome } from "./home.ts";
import { Journal } from "./journal.ts";
import { setLinkMac } from "./mac.ts";
import { openOwnNetns } from "./own-netns.ts";
import { checkNameFree, configureInPod, moveIntoPod } from "./pod.ts";
import { moveRdmaAgain, planRdma, type RdmaPlan } from "./rdma.ts";
import type { Attachment, Original } from "./record.ts";
import { removeRules } from "./routes.ts";
import { retell } from "./told/retell.ts";
import { lookAtOwnPf } from "./vf-at-pf.ts";

/**
 * Gives a running pod its VF again: a driver that recovers (mlx5's health recovery, a firmware reset, AER, `devlink dev
 * reload`) takes link and RDMA device out of the pod and creates new ones in the host's namespace, with new names, indices
 * and MAC. What the PF stores stays. The caller holds the locks of attachment and VF.
 *
 * @returns what the pod still lacks afterwards: its RDMA device may have another character device than the one that the
 *   kubelet gave it, and then the pod has to be deleted. Empty: nothing.
 * @throws {CniError} 102 when the pod has meanwhile got another link of that name; any refusal of the kernel.
 */
export async function reattach(a: Attachment, host: Host): Promise<string> {
  using netns = openOwnNetns(a, host);
  const link = linkAtHome(a.device.pci, host);
  if (!netns || !link) return "";
  using rtnl = inNetns(netns, () => new NetlinkSocket());
  const call = callOf(a, "ADD", host);
  const asked = readConfig({ ...call, config: { ...call.config, deviceID: a.device.pci } });
  const config = { ...asked, duplicateAddressProbe: false }; // the pod already has these addresses
  checkNameFree(rtnl, call);
  const rdma = await planRdma(a.device.pci, config.rdma === "off" ? "off" : "auto", host);
  const journal = new Journal(host.paths.stateDir);
  const original = { ...a.original, ...rdmaOf(rdma) };
  journal.update(a, { original, link: { index: link.index, hasParent: link.parent !== "", kind: link.kind } });
  await giveMac(a, link, host);
  const device = { ...a.device, netdev: link.name };
  moveIntoPod(device, config, { link, original }, netns, call, host);
  if (a.rules) removeRules(rtnl, a, undefined);
  const addresses = a.addresses ?? emptyResult();
  const now = await configureInPod(device, config, addresses, { netns, rtnl }, call, host, (rules) =>
    journal.update(a, { rules }),
  );
  if (now && now.index !== link.index)
    journal.update(a, {
      link: { index: link.index, hasParent: link.parent !== "", kind: link.kind, podIndex: now.index },
    });
  return await moveAndTell({ ...a, original }, rdma, netns, call, host);
}

/** Like reattach(), for a pod that has its link while only its RDMA device is in the host's namespace. */
export async function reattachRdma(a: Attachment, host: Host): Promise<string> {
  using netns = openOwnNetns(a, host);
  if (!netns) return "";
  const rdma = await planRdma(a.device.pci, "auto", host);
  if (!rdma.move) return "";
  const original = { ...a.original, ...rdmaOf(rdma) };
  new Journal(host.paths.stateDir).update(a, { original });
  return await moveAndTell({ ...a, original }, rdma, netns, callOf(a, "ADD", host), host);
}

/** The GID may be in the table only later: the reconciler's next look tells of that. */
async function moveAndTell(a: Attachment, rdma: RdmaPlan, netns: Fd, call: Call, host: Host): Promise<string> {
  const but = await moveRdmaAgain(rdma, a.device.pci, netns, call, host);
  await retell(a, host, rdma.devices);
  return but;
}

const rdmaOf = ({ move, devices, indices }: RdmaPlan): Pick<Original, "rdma" | "rdmaIndices"> =>
  move ? { rdma: devices, ...(indices && { rdmaIndices: indices }) } : {};

/** Restores the MAC that the pod had, which its neighbours know. */
async function giveMac(a: Attachment, link: Link, host: Host): Promise<void> {
  const mac = a.applied.mac ?? a.original.mac;
  if (mac === undefined || mac === link.mac) return;
  const waiter = { clock: host.clock };
  const view = await lookAtOwnPf(a, host, waiter);
  await setLinkMac(host.rtnl, link.index, mac, waiter, view?.at);
}
