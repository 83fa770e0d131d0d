import type { Host } from "../host.ts";
import { deleteAddress, listAddresses, parseAddress } from "../kernel/address.ts";
import { addAltname, deleteAltname, type Link, type LinkChange, setLink } from "../kernel/link.ts";
import type { NetlinkConnection } from "../kernel/netlink/message.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { hostNetns, inNetns, isOwnNetns } from "../kernel/netns.ts";
import type { Fd } from "../kernel/syscall.ts";
import { findLink, isInPod, linkNamed } from "./find-link.ts";
import { removeUppers } from "./link-state/uppers.ts";
import { patiently } from "./patience.ts";
import type { Attachment, Original } from "./record.ts";

/**
 * What a VF was, but under a name of its PCI address where another link took its own meanwhile: new VFs take the
 * kernel's names as soon as they are free. DEL must not wait for somebody to rename that.
 */
export function withHomeName(a: Attachment, netns: Fd | undefined, host: Host): Original {
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

/** One request: the kernel closes the link, moves it, renames it. Refused half-way it is home under another name. */
export function bringHome(a: Attachment, netns: Fd): void {
  if (a.original.name === undefined) return;
  using pod = inNetns(netns, () => new NetlinkSocket());
  const link = findLink(pod, a.device, a.ifname);
  if (!link) return;
  try {
    if (!isOwnNetns(netns)) removeUppers(pod, link);
    else flush(pod, link.index); // with CNI_NETNS_OVERRIDE; a link that moves loses its addresses
  } finally {
    const change = { ...linkChange(a.original, link), netns: hostNetns(), name: a.original.name, up: false };
    pod.request(setLink(link.index, change, `move ${link.name} home as ${a.original.name}`));
  }
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

/** Name, alias, MTU and altnames. @returns the link as it then is; undefined for a VF that had none. */
export function restoreLink(a: Attachment, host: Host): Link | undefined {
  const { original, device } = a;
  if (original.name === undefined) return undefined;
  const link = findLink(host.rtnl, device, original.name, original);
  if (!link) throw new Error(`cannot put ${device.pci} back: its link is in no namespace that this node shows`);
  const change = linkChange(original, link);
  const isChanged = Object.keys(change).length > 0;
  if (isChanged)
    host.rtnl.request(setLink(link.index, { ...change, up: false }, `restore ${link.name} as ${original.name}`));
  restoreAltnames(host.rtnl, link, original.altnames ?? []);
  return { ...link, up: link.up && !isChanged };
}

/** Up or down, once all else of the link is restored. */
export async function restoreUp({ original }: Attachment, link: Link, { rtnl, clock }: Host): Promise<void> {
  const up = original.up ?? false;
  if (link.up === up) return;
  const change = setLink(link.index, { up }, `set ${original.name} ${up ? "up" : "down"}`);
  await patiently(() => rtnl.request(change), { clock });
}

function restoreAltnames(rtnl: NetlinkConnection, link: Link, wanted: readonly string[]): void {
  for (const name of link.altnames) if (!wanted.includes(name)) rtnl.request(deleteAltname(link.index, name));
  for (const name of wanted) if (!link.altnames.includes(name)) rtnl.request(addAltname(link.index, name));
}
