import { deleteAddress, listAddresses, parseAddress } from "../../kernel/address.ts";
import { addAltname, deleteAltname, deleteLink, type Link, type LinkChange, setLink } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { hostNetns, inNetns, isOwnNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { driverOf, isForUserspace, netdevOf } from "../../kernel/sysfs.ts";
import type { Host } from "../host.ts";
import { findAtHome, findInPod } from "./find-link.ts";
import { homeName, takeOwnName } from "./home-name.ts";
import { type Identity, identityOf, isTheVfAtHome } from "./identity.ts";
import { linkNamed } from "./link-at.ts";
import { removeUppers } from "./link-state/uppers.ts";
import type { Attempts } from "./owed.ts";
import { patiently } from "./patience.ts";
import type { Attachment, Original } from "./record.ts";

/** A tenant may swap another link into the VF's place during the move: then it is looked up again. */
const MOVES = 3;

/**
 * Brings the VF's link home, wherever it is, and restores its name, alias, MTU and altnames.
 *
 * @returns the link afterwards; undefined for a VF that has none, or whose link is owed.
 */
export async function restoreLink(
  a: Attachment,
  netns: Fd | undefined,
  host: Host,
  attempts: Attempts,
): Promise<Link | undefined> {
  const { original, device } = a;
  if (original.name === undefined) return undefined;
  if (isForUserspace(host.paths.sysfs, device.pci)) return undefined;
  const link = await attempts.try("link", () => bringHome(a, netns, host));
  if (!link) return undefined;
  const set = (change: LinkChange) =>
    host.rtnl.request(setLink(link.index, { ...change, up: false }, `restore ${link.name} as ${original.name}`));
  await attempts.try("altnames", () => dropAltnames(host.rtnl, link, original)); // one might be the name that is wanted
  const name = homeName(a, link, host);
  const change = linkChange({ ...original, name }, link);
  const isChanged = Object.keys(change).length > 0;
  if (isChanged) await setAllOrEach(change, set, attempts);
  if (link.lacksInet) await attempts.try("mtu", () => bringInetBack({ ...link, ...change }, set));
  if (name !== original.name) await attempts.try("name", () => takeOwnName(a, link, host));
  await attempts.try("altnames", () => addAltnames(host.rtnl, link, original));
  return { ...link, up: link.up && !isChanged };
}

/**
 * A tenant may name a link `default`, which sysctl reserves, while its MTU is too small for IPv6, which would refuse the
 * name: a link that comes to the host like that gets neither IPv4 nor IPv6 settings, and no ADD could set any. Under its
 * own name a change of the MTU creates them (net/ipv4/devinet.c inetdev_event(), net/ipv6/addrconf.c addrconf_notify()).
 */
function bringInetBack({ mtu, minMtu }: Pick<Link, "mtu" | "minMtu">, set: (change: LinkChange) => unknown): void {
  set({ mtu: mtu > minMtu ? mtu - 1 : mtu + 1 });
  set({ mtu });
}

/** Up or down, once everything else of the link is restored. */
export async function restoreUp({ original }: Attachment, link: Link, { rtnl, clock }: Host): Promise<void> {
  const { up } = original;
  if (up === undefined || link.up === up) return;
  const change = setLink(link.index, { up }, `set ${original.name} ${up ? "up" : "down"}`);
  await patiently(() => rtnl.request(change), { clock });
}

/** In one request; if that is refused, one each, so that no change fails because of another. */
async function setAllOrEach(change: LinkChange, set: (change: LinkChange) => unknown, attempts: Attempts) {
  try {
    set(change);
  } catch {
    for (const [key, value] of Object.entries(change)) await attempts.try(key, () => set({ [key]: value }));
  }
}

/** @returns the link, in the host's namespace. @throws {Error} when it cannot be had. */
function bringHome(a: Attachment, netns: Fd | undefined, host: Host): Link {
  const who = identityOf(a, host);
  const isAway = netns !== undefined && !isOwnNetns(netns);
  const link = (isAway && moveHome(a, who, netns, host)) || findFallen(a, who, isAway ? netns : undefined, host);
  if (!link) {
    const why = driverOf(host.paths.sysfs, who.pci)
      ? "its link is in no namespace that can be seen on this node"
      : "no driver is bound to it";
    throw new Error(`cannot put ${who.pci} back: ${why}`);
  }
  if (netns && !isAway) flush(host.rtnl, link.index); // with CNI_NETNS_OVERRIDE; a link that moves loses its addresses
  return link;
}

/** A link that fell back from a namespace nested in the pod's: what the pod left on it is removed first, since that may change its MAC. */
function findFallen(a: Attachment, who: Identity, netns: Fd | undefined, host: Host): Link | undefined {
  const link = findAtHome(who, host);
  if (!link || !netns) return link;
  using pod = inNetns(netns, () => new NetlinkSocket());
  return leaveNothing(pod, link, a, host, hostNetns()) > 0 ? findAtHome(who, host) : link;
}

function moveHome(a: Attachment, who: Identity, netns: Fd, host: Host): Link | undefined {
  using pod = inNetns(netns, () => new NetlinkSocket());
  for (let left = MOVES; left > 0; left--) {
    const link = findInPod(pod, who);
    if (!link) return undefined;
    const home = move(link, a, who, pod, host);
    if (home) return home;
  }
  return undefined;
}

/**
 * One request: the kernel closes the link, moves it, renames it. If that is refused half-way it is home under another name.
 *
 * @returns undefined when what came home is not the VF: the tenant can choose indices and swap links at any moment.
 */
function move(link: Link, a: Attachment, who: Identity, pod: NetlinkConnection, host: Host): Link | undefined {
  leaveNothing(pod, link, a, host);
  dropAltnames(pod, link, a.original); // one that the host has, too, would keep it in the pod
  const name = homeName(a, undefined, host);
  const change = { ...linkChange({ ...a.original, name }, link), netns: hostNetns(), name, up: false };
  try {
    pod.request(setLink(link.index, change, `move ${link.name} home as ${name}`));
  } catch (error) {
    const home = findAtHome(who, host);
    if (home) return home;
    silence(pod, link);
    throw error;
  }
  const home = linkNamed(host.rtnl, name) ?? findAtHome(who, host); // udev may already have renamed it
  if (!home || isTheVfAtHome(home, who, netdevOf(host.paths.sysfs, who.pci))) return home;
  host.log.warn({ pci: who.pci, name, kind: home.kind, parent: home.parent }, "another link took the VF's place");
  if (home.kind) host.rtnl.request(deleteLink(home.index));
  return undefined;
}

/** Removes what the tenant has stacked on the link. A failure does not keep the VF in the pod. */
function leaveNothing(pod: NetlinkConnection, link: Link, a: Attachment, host: Host, away?: Fd): number {
  try {
    return removeUppers(pod, link, away);
  } catch (err) {
    const [pci, containerID] = [a.device.pci, a.containerId];
    host.log.warn({ err, pci, containerID }, "links stacked on the VF stay in the pod");
    return 0;
  }
}

/** Removes the addresses of a link that stays where it is. */
function silence(pod: NetlinkConnection, link: Link): void {
  try {
    pod.request(setLink(link.index, { up: false }, `set ${link.name} down`));
  } catch {} // the first failure says more
}

function flush(rtnl: NetlinkConnection, index: number): void {
  const own = rtnl
    .dump(listAddresses())
    .map(parseAddress)
    .filter((a) => a.index === index);
  for (const { cidr } of own) rtnl.request(deleteAddress(index, cidr));
}

/** What differs between a link and its original state, except the MAC. */
function linkChange({ name, alias, mtu }: Original, now: Link): LinkChange {
  return {
    ...(name !== undefined && name !== now.name && { name }),
    ...(alias !== undefined && alias !== now.alias && { alias }),
    ...(mtu !== undefined && mtu !== now.mtu && { mtu }),
  };
}

function dropAltnames(rtnl: NetlinkConnection, link: Link, { altnames: wanted }: Original): void {
  const strange = wanted ? link.altnames.filter((name) => !wanted.includes(name)) : [];
  if (strange.length > 0) rtnl.batch(strange.map((name) => deleteAltname(link.index, name)));
}

function addAltnames(rtnl: NetlinkConnection, link: Link, { altnames: wanted = [] }: Original): void {
  const missing = wanted.filter((name) => !link.altnames.includes(name));
  if (missing.length > 0) rtnl.batch(missing.map((name) => addAltname(link.index, name)));
}
