import { closeSync, openSync } from "node:fs";
import { listAddresses, parseAddress } from "../../kernel/address.ts";
import { codeOf } from "../../kernel/errno.ts";
import { type Link, linkOf } from "../../kernel/link.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { listRoutesBy, parseRoute } from "../../kernel/route.ts";
import { iommuGroupOf, masterOf, netdevOf, uppersOf } from "../../kernel/sysfs.ts";
import { ATTACH_CODE } from "../codes.ts";
import type { Paths } from "../host.ts";
import { onHost } from "../host-root.ts";
import { CniError } from "../protocol/error.ts";

/** `IFA_F_PERMANENT`, include/uapi/linux/if_addr.h: without it an IPv6 address came from a router's advertisement. */
const IFA_F_PERMANENT = 0x80;
/** Routes that come and go with addresses. */
const RTPROT_KERNEL = 2;
const RTPROT_RA = 9;
const RTN_UNICAST = 1;

/**
 * How the host uses a link of its own namespace, in words; undefined when it does not: an address or a route that
 * somebody gave it, a bridge or bond it is a port of, a VLAN or macvlan on top of it. What the kernel does automatically
 * does not count, so a VF that is up on a network with IPv6 routers is free.
 */
function hostUseOf(
  link: Pick<Link, "index" | "name" | "up">,
  sysfs: string,
  rtnl: NetlinkConnection,
): string | undefined {
  const master = masterOf(sysfs, link.name);
  if (master) return `it belongs to ${master}`;
  const [upper] = uppersOf(sysfs, link.name);
  if (upper) return `${upper} is on top of it`;
  const address = rtnl
    .dump(listAddresses(link.index), { evenInterrupted: true })
    .map(parseAddress)
    .find(isGiven(link.index));
  if (address) return `it has address ${address.cidr} of the host`;
  const route = link.up ? givenRoute(link.index, rtnl) : undefined; // a link that is down has none
  return route && `the host's route ${route === "0.0.0.0/0" || route === "::/0" ? "default" : route} uses it`;
}

const isGiven =
  (link: number) =>
  ({ index, cidr, flags }: ReturnType<typeof parseAddress>): boolean =>
    index === link && (!cidr.includes(":") || (!cidr.startsWith("fe80:") && (flags & IFA_F_PERMANENT) !== 0));

function givenRoute(index: number, rtnl: NetlinkConnection): string | undefined {
  return ([4, 6] as const)
    .flatMap((family) => rtnl.dump(listRoutesBy(index, family), { evenInterrupted: true }))
    .map(parseRoute)
    .find((r) => r.index === index && r.type === RTN_UNICAST && ![RTPROT_KERNEL, RTPROT_RA].includes(r.protocol))?.dst;
}

/** Like hostUseOf(), for a VF by its PCI address; also undefined for one without a link. */
export function hostUseOfVf(pci: string, sysfs: string, rtnl: NetlinkConnection): string | undefined {
  const netdev = netdevOf(sysfs, pci);
  if (!netdev) return undefined;
  const use = hostUseOf(rtnl.get(linkOf({ name: netdev })), sysfs, rtnl);
  return use && `the host uses its link ${netdev}: ${use}`;
}

/** Whether a process has opened a VF that a userspace driver has: the kernel lets a group be opened once. */
function isOpen(pci: string, { sysfs, hostRoot }: Pick<Paths, "sysfs" | "hostRoot">): boolean {
  const group = iommuGroupOf(sysfs, pci);
  if (group === undefined) return false;
  try {
    closeSync(openSync(onHost(hostRoot, `/dev/vfio/${group}`), "r+"));
    return false;
  } catch (error) {
    return codeOf(error) === "EBUSY";
  }
}

/** @param link absent when a userspace driver has the VF. @throws {CniError} 102 when the host itself uses a VF. */
export function refuseHostUse(
  pci: string,
  link: Link | undefined,
  paths: Pick<Paths, "sysfs" | "hostRoot">,
  rtnl: NetlinkConnection,
): void {
  const use = link
    ? hostUseOf(link, paths.sysfs, rtnl)
    : isOpen(pci, paths) && "a process of the host has it open (/dev/vfio)";
  if (!use) return;
  const what = link ? `the host uses its link ${link.name}: ` : "";
  throw new CniError(
    ATTACH_CODE.IN_USE,
    `cannot attach ${pci}: ${what}${use}; remove that, or keep the VF out of the rail`,
  );
}
