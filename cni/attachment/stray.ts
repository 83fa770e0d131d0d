import { codeOf } from "../../kernel/errno.ts";
import type { Link } from "../../kernel/link.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns, netnsInode, openNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { driverOf, isVf, pfOf } from "../../kernel/sysfs.ts";
import { readConfig } from "../config.ts";
import type { Host } from "../host.ts";
import { onHost } from "../host-root.ts";
import type { Call } from "../protocol/request.ts";
import { Debts } from "./debts.ts";
import { freshState } from "./drivers.ts";
import { findInPod } from "./find-link.ts";
import { identityOf } from "./identity.ts";
import { Journal } from "./journal.ts";
import { linkNamed } from "./link-at.ts";
import { markedPci } from "./mark.ts";
import { type Origin, Origins } from "./origins.ts";
import type { Attachment } from "./record.ts";

/**
 * The attachment of a DEL whose record is lost (a torn file). Which VF it was follows from that file's name, or a hint on
 * the pod's link; that the link is this VF's, from the kernel; and its original state, from root's own note.
 */
export function findStray(call: Call, host: Host): Attachment | undefined {
  const { containerId, ifname, netns: path } = call;
  using netns = openIfThere(path, host);
  if (!netns) return undefined;
  const pci = new Journal(host.paths.stateDir).lostDevice(containerId, ifname) ?? hintIn(netns, ifname);
  const origin = pci === undefined || hasOwner(pci, host) ? undefined : originOf(pci, host);
  if (!origin) return undefined;
  const stray = {
    ...fromOrigin(origin, host),
    netns: path,
    netnsInode: netnsInode(netns),
    containerId,
    ifname,
    network: call.config.name,
    request: { path: call.path, args: call.request.env.CNI_ARGS ?? "", stdin: call.request.stdin },
  };
  using pod = inNetns(netns, () => new NetlinkSocket());
  return findInPod(pod, identityOf(stray, host)) && { ...stray, applied: appliedBy(call, origin) };
}

/**
 * A VF that came back to the host's namespace and whose record is lost. The caller holds its lock.
 *
 * @param link the VF's.
 * @returns undefined for a VF that does not bear our mark, whatever else it says, or whose record or debt knows more.
 */
export function strayAtHome(pci: string, link: Link, host: Host): Attachment | undefined {
  if (markedPci(link.alias) === undefined || hasOwner(pci, host)) return undefined;
  const origin = originOf(pci, host) ?? withoutNote(pci, link, host);
  const { mac, ...settings } = origin.original.vf ?? {};
  return { ...fromOrigin(origin, host), applied: settings };
}

/** What is known of a VF without root's note: its permanent MAC, where the driver reports it, and nothing that a pod chose. */
function withoutNote(pci: string, link: Link, host: Host): Origin {
  const { name, index, kind, parent, permMac } = link;
  host.log.warn({ pci, name }, "this VF's original settings are unknown: its name and MTU stay");
  const original = { name, alias: "", altnames: [], up: false, ...(permMac && { mac: permMac }) };
  return { version: 1, bootId: host.bootId, pci, link: { index, kind, hasParent: parent !== "" }, original };
}

const originOf = (pci: string, host: Host): Origin | undefined =>
  isVf(host.paths.sysfs, pci) ? new Origins(host.paths.stateDir).of(pci, host.bootId) : undefined;

function openIfThere(path: string, { paths }: Host): Fd | undefined {
  try {
    return openNetns(onHost(paths.hostRoot, path));
  } catch (error) {
    if (["ENOENT", "ENOTNETNS", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

function hintIn(netns: Fd, ifname: string): string | undefined {
  using pod = inNetns(netns, () => new NetlinkSocket());
  return markedPci(linkNamed(pod, ifname)?.alias ?? "");
}

function hasOwner(pci: string, { paths, bootId }: Host): boolean {
  return (
    new Journal(paths.stateDir).activeOwners(pci, bootId).length > 0 || new Debts(paths.stateDir).devices().has(pci)
  );
}

/** The settings named in the call's own configuration. */
function appliedBy(call: Call, { pci }: Origin): Attachment["applied"] {
  try {
    const config = readConfig({ ...call, config: { ...call.config, deviceID: pci } });
    return { ...config.vf, ...(config.mac && { mac: config.mac }) };
  } catch {
    return {}; // not the configuration that ADD accepted
  }
}

function fromOrigin({ pci, link, original }: Origin, host: Host): Attachment {
  const { sysfs } = host.paths;
  const pf = pfOf(sysfs, pci);
  return {
    version: 1,
    phase: "claimed",
    bootId: host.bootId,
    containerId: "",
    ifname: "",
    network: "",
    netns: "",
    netnsInode: 0,
    device: { pci, ...(pf && { pf }) },
    link,
    original: { vf: freshState(driverOf(sysfs, pf?.pci ?? "")), ...original, alias: "", up: false },
    applied: {},
    request: { path: [], args: "", stdin: "{}" },
  };
}
