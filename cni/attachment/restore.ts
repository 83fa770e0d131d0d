import type { Host } from "../host.ts";
import { onHost } from "../host-root.ts";
import { deleteAddress, listAddresses, parseAddress } from "../kernel/address.ts";
import { codeOf } from "../kernel/errno.ts";
import {
  addAltname,
  deleteAltname,
  getLink,
  type Link,
  type LinkChange,
  listLinks,
  parseLink,
  setLink,
} from "../kernel/link.ts";
import type { NetlinkConnection } from "../kernel/netlink/message.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { hostNetns, inNetns, isOwnNetns, netnsInode, openNetns } from "../kernel/netns.ts";
import type { Fd } from "../kernel/syscall.ts";
import { exists, pfOf } from "../kernel/sysfs.ts";
import { parseVfs, setVf, type VfState } from "../kernel/vf.ts";
import { setAdminMac, setLinkMac, type VfAtPf } from "./mac.ts";
import { parseMark } from "./mark.ts";
import { returnRdma } from "./rdma.ts";
import type { Attachment, DeviceIdentity, Original } from "./record.ts";
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
  if (exists(host.paths.sysfs, a.device.pci)) {
    await attempt(async () => {
      const home = { ...a, original: withHomeName(a, netns, host) };
      if (netns) await attempt(() => bringHome(home, netns));
      await restoreLink(home, host);
    });
  } else host.log.warn(a.device, "the VF is no more (sriov_numvfs, or its card): only its addresses are released");
  host.step("del-link-returned");
  await attempt(() => restorePf(a, host));
  host.step("del-pf-restored");
  if (failures.length > 0) throw failures[0];
}

/** The pod's namespace if it still is the one that ADD saw. */
export function openOwnNetns(a: Attachment, { paths }: Host): Fd | undefined {
  if (!a.netns) return undefined;
  let netns: Fd;
  try {
    netns = openNetns(onHost(paths.hostRoot, a.netns));
  } catch (error) {
    if (["ENOENT", "ENOTNETNS", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
  if (a.netnsInode === 0 || netnsInode(netns) === a.netnsInode) return netns;
  netns[Symbol.dispose]();
  return undefined;
}

/**
 * The VF's link, in the namespace of `rtnl`: by name if it is the one, else by PCI address or our mark.
 *
 * @param home what the link was, in the host's namespace: where links do not tell their PCI address (veth, kernels
 *   before 5.14), one of its name without our mark is it too.
 */
export function findLink(
  rtnl: NetlinkConnection,
  device: DeviceIdentity,
  name: string,
  home?: Original,
): Link | undefined {
  const isHome = (l: Link) => home !== undefined && l.name === home.name && ["", home.alias].includes(l.alias);
  const isOurs = (l: Link) =>
    l.parent ? l.parent === device.pci : parseMark(l.alias)?.pci === device.pci || isHome(l);
  const link = linkNamed(rtnl, name);
  if (link && isOurs(link)) return link;
  return rtnl.dump(listLinks()).map(parseLink).find(isOurs);
}

/** Whether the VF's link is in the pod's namespace; a VF without a link counts as being where its record says. */
export function isInPod(a: Attachment, netns: Fd): boolean {
  if (a.original.name === undefined) return true;
  using pod = inNetns(netns, () => new NetlinkSocket());
  return findLink(pod, a.device, a.ifname) !== undefined;
}

function takeRulesOut(a: Attachment, netns: Fd): void {
  using pod = inNetns(netns, () => new NetlinkSocket());
  const link = findLink(pod, a.device, a.ifname);
  removeRules(pod, link?.index, a.addresses?.ips ?? []);
}

/**
 * What a VF was, but under a name of its PCI address where another link took its own meanwhile: new VFs take the
 * kernel's names as soon as they are free. DEL must not wait for somebody to rename that.
 */
function withHomeName(a: Attachment, netns: Fd | undefined, host: Host): Original {
  const { original, device } = a;
  if (original.name === undefined) return original;
  const spare = `vf${device.pci.replaceAll(/[:.]/g, "")}`;
  if (linkNamed(host.rtnl, spare)) return { ...original, name: spare }; // of an attempt that was cut short
  const named = linkNamed(host.rtnl, original.name);
  const isAway = netns && !isOwnNetns(netns) && isInPod(a, netns);
  const own = isAway ? undefined : findLink(host.rtnl, device, original.name, original);
  if (!named || named.index === own?.index) return original;
  host.log.warn(
    { ...device, name: original.name, spare },
    "another link has the VF's name: it gets one of its address",
  );
  return { ...original, name: spare };
}

function linkNamed(rtnl: NetlinkConnection, name: string): Link | undefined {
  try {
    return parseLink(rtnl.request(getLink({ name }))!);
  } catch (error) {
    if (codeOf(error) === "ENODEV") return undefined;
    throw error;
  }
}

/** One request: the kernel closes the link, moves it, renames it. Refused half-way it is home under another name. */
function bringHome(a: Attachment, netns: Fd): void {
  if (a.original.name === undefined) return;
  using pod = inNetns(netns, () => new NetlinkSocket());
  const link = findLink(pod, a.device, a.ifname);
  if (!link) return;
  if (isOwnNetns(netns)) flush(pod, link.index); // with CNI_NETNS_OVERRIDE; a link that moves loses its addresses
  const change = { ...linkChange(a.original, link), netns: hostNetns(), name: a.original.name, up: false };
  pod.request(setLink(link.index, change, `move ${link.name} home as ${a.original.name}`));
}

function flush(rtnl: NetlinkConnection, index: number): void {
  const own = rtnl
    .dump(listAddresses())
    .map(parseAddress)
    .filter((a) => a.index === index);
  for (const { cidr } of own) rtnl.request(deleteAddress(index, cidr));
}

/** What differs between a link and its original, MAC left out. */
function linkChange({ name, alias = "", mtu }: Original, now: Link): LinkChange {
  return {
    ...(name !== undefined && name !== now.name && { name }),
    ...(alias !== now.alias && { alias }),
    ...(mtu !== undefined && mtu !== now.mtu && { mtu }),
  };
}

async function restoreLink(a: Attachment, host: Host): Promise<void> {
  const { original, device } = a;
  if (original.name === undefined) return;
  const link = findLink(host.rtnl, device, original.name, original);
  if (!link) throw new Error(`cannot put ${device.pci} back: its link is in no namespace that this node shows`);
  const change = linkChange(original, link);
  if (Object.keys(change).length > 0)
    host.rtnl.request(setLink(link.index, { ...change, up: false }, `restore ${link.name} as ${original.name}`));
  if (original.mac !== undefined && original.mac !== link.mac)
    await setLinkMac(host.rtnl, link.index, original.mac, readPf(a, host)?.at);
  restoreAltnames(host.rtnl, link, original.altnames ?? []);
  const up = original.up ?? false;
  if (link.up !== up || (up && change.name))
    host.rtnl.request(setLink(link.index, { up }, `set ${original.name} ${up ? "up" : "down"}`));
}

function restoreAltnames(rtnl: NetlinkConnection, link: Link, wanted: readonly string[]): void {
  for (const name of link.altnames) if (!wanted.includes(name)) rtnl.request(deleteAltname(link.index, name));
  for (const name of wanted) if (!link.altnames.includes(name)) rtnl.request(addAltname(link.index, name));
}

/** Undefined when the PF has no link any more. Its name is read anew: PFs get renamed. */
function readPf({ device: { pci, pf } }: Attachment, host: Host): { at: VfAtPf; now: VfState | undefined } | undefined {
  if (!pf) return undefined;
  try {
    const name = pfOf(host.paths.sysfs, pci)?.name ?? pf.name;
    const body = host.rtnl.request(getLink({ name }, { vfs: true }))!;
    return { at: { pfIndex: parseLink(body).index, vf: pf.vf }, now: parseVfs(body).get(pf.vf) };
  } catch (error) {
    if (codeOf(error) === "ENODEV") return undefined;
    throw error;
  }
}

/**
 * Only what ADD set and what differs now: one request for all but the MAC, which some drivers apply late. A PF that does
 * not show the VF any more has forgotten its settings by itself.
 */
async function restorePf(a: Attachment, host: Host): Promise<void> {
  const { applied, original, device } = a;
  const keys = Object.keys(applied) as (keyof VfState)[];
  if (!device.pf || !original.vf || keys.length === 0) return;
  const pf = readPf(a, host);
  if (!pf?.now) return host.log.warn(device, "the PF does not show this VF: no setting there is restored");
  const { at, now } = pf;
  const { mac, ...rest } = Object.fromEntries(
    keys.filter((k) => now[k] !== original.vf![k]).flatMap((k) => companions(k, original.vf!)),
  ) as Partial<VfState>;
  if (mac !== undefined) await setAdminMac(host.rtnl, at, mac);
  if (Object.keys(rest).length > 0)
    host.rtnl.request(setVf(at.pfIndex, at.vf, rest, `restore VF ${at.vf} of ${device.pf.name}`));
}

/** Settings that the kernel takes together. */
const TOGETHER: readonly (readonly (keyof VfState)[])[] = [
  ["vlan", "qos", "proto"],
  ["minTxRate", "maxTxRate"],
];

function companions(key: keyof VfState, from: Partial<VfState>): [string, unknown][] {
  return (TOGETHER.find((group) => group.includes(key)) ?? [key]).map((k) => [k, from[k]]);
}
