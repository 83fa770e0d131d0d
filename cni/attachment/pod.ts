import { addAddress } from "../../kernel/address.ts";
import { codeOf } from "../../kernel/errno.ts";
import { addAltname, deleteAltname, getLink, type Link, parseLink, setLink } from "../../kernel/link.ts";
import type { Message, NetlinkConnection } from "../../kernel/netlink/message.ts";
import { inNetns, isOwnNetns, openNetns } from "../../kernel/netns.ts";
import { addRuleBeside, type Rule } from "../../kernel/rule.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { writeSysctl } from "../../kernel/sysctl.ts";
import { ATTACH_CODE } from "../codes.ts";
import type { AttachConfig } from "../config.ts";
import { invalid } from "../fields.ts";
import type { Host } from "../host.ts";
import { onHost } from "../host-root.ts";
import { CniError, CODE } from "../protocol/error.ts";
import { isIPv6 } from "../protocol/ip.ts";
import type { Call } from "../protocol/request.ts";
import type { Result } from "../protocol/result.ts";
import type { Device } from "./device.ts";
import { linkNamed } from "./link-at.ts";
import { cleanLink } from "./link-state/clean.ts";
import { formatMark } from "./mark.ts";
import { isBusy, patiently } from "./patience.ts";
import type { PfSnapshot } from "./pf.ts";
import { refuseDuplicates } from "./probe.ts";
import { expectedRules, routeMessages } from "./routes.ts";

/** `IPV4_DEVCONF_*`, include/uapi/linux/ip.h: what several rails in one pod need, set in the request that moves the link. */
const RAIL_INET_CONF = {
  /** IPV4_DEVCONF_RP_FILTER: loose, since a reply may leave by another rail. */
  8: 2,
  /** IPV4_DEVCONF_ARP_ANNOUNCE: only the rail's own address as source. */
  18: 2,
  /** IPV4_DEVCONF_ARP_IGNORE: answer only for the rail's own address. */
  19: 1,
  /** IPV4_DEVCONF_ARP_NOTIFY: say so when the MAC changes. */
  22: 1,
};

/** The pod's network namespace, and an rtnetlink socket in it. */
export interface PodNetns {
  readonly netns: Fd;
  readonly rtnl: NetlinkConnection;
}

/** @throws {CniError} 8 when CNI_NETNS does not exist, is not a network namespace, or is the host's own. */
export function openTarget(call: Call, { paths }: Host): Fd {
  const refuse = (why: string, cause?: unknown) =>
    new CniError(
      CODE.INVALID_NETNS,
      `cannot use CNI_NETNS "${call.netns}": ${why}`,
      cause === undefined ? {} : { cause },
    );
  let netns: Fd;
  try {
    netns = openNetns(onHost(paths.hostRoot, call.netns));
  } catch (error) {
    const why =
      codeOf(error) === "ENOENT"
        ? "it does not exist; did the sandbox end?"
        : `it is not a network namespace (${codeOf(error)})`;
    throw refuse(why, error);
  }
  if (!isOwnNetns(netns) || ["1", "true"].includes(call.request.env.CNI_NETNS_OVERRIDE ?? "")) return netns;
  netns[Symbol.dispose]();
  throw refuse("it is the host's own namespace");
}

/** @throws {CniError} 102 when the pod has an interface of that name. */
export function checkNameFree(pod: NetlinkConnection, { ifname, netns: path }: Pick<Call, "ifname" | "netns">): void {
  try {
    pod.request(getLink({ name: ifname }));
  } catch (error) {
    if (codeOf(error) === "ENODEV") return;
    throw error;
  }
  throw new CniError(ATTACH_CODE.IN_USE, `cannot name the interface ${ifname}: ${path} already has one of that name`);
}

/**
 * The runtime's name for a set, as an alternative name of its first link, so that whoever looks for it finds one (Multus,
 * for a default route on it). None if a rail has that name.
 */
function altnameOf({ ifname, set }: Pick<Call, "ifname" | "set">): string | undefined {
  return set && ifname === set.rails[0] && !set.rails.includes(set.via) ? set.via : undefined;
}

/** Like checkNameFree(), for the alternative name of a set. */
export function checkAltnameFree(pod: NetlinkConnection, call: Call): void {
  const altname = altnameOf(call);
  if (altname !== undefined) checkNameFree(pod, { ifname: altname, netns: call.netns });
}

/** Kernels before 5.5 have none; restoreLink() removes it before the link goes home, where another link may have that name. */
function giveAltname(pod: NetlinkConnection, { index, altnames }: Link, call: Call, host: Host): void {
  const altname = altnameOf(call);
  if (altname === undefined || altnames.includes(altname)) return;
  try {
    pod.request(addAltname(index, altname));
  } catch (err) {
    host.log.info({ err, altname, ifname: call.ifname }, "the first rail has no alternative name");
  }
}

/** Moves, renames, marks and sets MTU and ARP settings in one request. Not atomic: the record must be written before. */
export function moveIntoPod(
  device: Device,
  config: AttachConfig,
  { link, original }: PfSnapshot,
  netns: Fd,
  call: Call,
  host: Host,
): void {
  if (!link) return;
  // A link cannot take a name that is already one of its alternative names.
  if (link.altnames.includes(call.ifname)) host.rtnl.request(deleteAltname(link.index, call.ifname));
  cleanLink(link, host);
  const change = {
    netns,
    name: call.ifname,
    alias: formatMark(device.pci, original),
    up: false,
    inetConf: RAIL_INET_CONF,
    ...(config.mtu && { mtu: config.mtu }),
  };
  host.rtnl.request(setLink(link.index, change, `move ${link.name} to ${call.netns} as ${call.ifname}`));
}

/**
 * Prepares what an IPAM plugin in another process expects in the pod, as with sriov-cni: the link, up, with its sysctls
 * and without addresses. A VF without a link has none.
 */
export async function prepareForIpam(
  device: Device,
  config: AttachConfig,
  { netns, rtnl: pod }: PodNetns,
  call: Call,
  host: Host,
): Promise<void> {
  if (device.netdev === undefined) return;
  const { index } = linkInPod(pod, device, call);
  inNetns(netns, () => writeSysctls(config, call.ifname, false));
  await patiently(() => pod.request(setLink(index, { up: true }, `set ${call.ifname} up`)), host);
}

function linkInPod(pod: NetlinkConnection, device: Device, { ifname, netns }: Call): Link {
  const link = linkNamed(pod, ifname);
  if (link && (!link.parent || link.parent === device.pci)) return link;
  throw new CniError(ATTACH_CODE.FAILED, `cannot configure ${ifname}: it is gone from ${netns}`);
}

/**
 * Sets sysctls, addresses, up, routes and rules, in this order, so that the kernel announces the addresses when the link
 * comes up (`arp_notify`, `ndisc_notify`).
 *
 * @param note is told of the rules before they are set: unlike everything else, they outlive the link.
 * @returns the link afterwards; undefined for a VF without one.
 */
export async function configureInPod(
  device: Device,
  config: AttachConfig,
  addresses: Result,
  { netns, rtnl: pod }: PodNetns,
  call: Call,
  host: Host,
  note: (rules: readonly Rule[]) => void,
): Promise<Link | undefined> {
  if (device.netdev === undefined) return undefined;
  const link = linkInPod(pod, device, call);
  giveAltname(pod, link, call, host);
  const hasV6 = addresses.ips.some((ip) => isIPv6(ip.address));
  inNetns(netns, () => writeSysctls(config, call.ifname, hasV6));
  const up = setLink(link.index, { up: true }, `set ${call.ifname} up`);
  if (isProbed(config, addresses)) {
    await patiently(() => pod.request(up), host);
    await refuseDuplicates(netns, link, addresses);
  }
  const rules = expectedRules(link.index, addresses, config);
  if (rules.length > 0) {
    note(rules);
    pod.batch(rules.map(addRuleBeside)); // outside whenUp(): repeated for a VF in reset, they would be there twice
  }
  const afterUp = [...routeMessages(link.index, addresses, config), getLink({ index: link.index })];
  return parseLink((await whenUp(pod, [...addressMessages(link, addresses), up], afterUp, host)).at(-1)!);
}

/** Whether the rail is probed before an address is used: the configuration asks for it, or the address was in quarantine. */
export const isProbed = ({ duplicateAddressProbe }: AttachConfig, { ips }: Result): boolean =>
  duplicateAddressProbe || ips.some(({ probe }) => probe);

/**
 * All in one batch. A VF in reset refuses to come up (iavf: EBUSY), and then the kernel refuses routes too: those follow
 * once it is up.
 */
async function whenUp(
  pod: NetlinkConnection,
  upTo: readonly Message[],
  after: readonly Message[],
  host: Host,
): Promise<(Buffer | undefined)[]> {
  try {
    return pod.batch([...upTo, ...after]);
  } catch (error) {
    if (!isBusy(error)) throw error;
  }
  await patiently(() => pod.request(upTo.at(-1)!), host);
  return pod.batch(after);
}

function addressMessages(link: Link, { ips }: Result): Message[] {
  return ips.map(({ address }) => addAddress(link.index, address));
}

/** IPv6 is enabled only where there is an IPv6 address, as in the CNI plugins' `ConfigureIface`. */
const V6_SYSCTLS = {
  "net.ipv6.conf.lo.disable_ipv6": "0",
  "net.ipv6.conf.IFNAME.disable_ipv6": "0",
  "net.ipv6.conf.IFNAME.keep_addr_on_down": "1",
};
/** Conveniences that a kernel may lack: then it goes without them, as sriov-cni does. */
const COMFORTS = { "net.ipv6.conf.IFNAME.optimistic_dad": "1", "net.ipv6.conf.IFNAME.ndisc_notify": "1" };

function writeSysctls(config: AttachConfig, ifname: string, hasV6: boolean): void {
  for (const [key, value] of Object.entries(COMFORTS))
    try {
      writeSysctl(key, value, { ifname });
    } catch {}
  for (const [key, value] of Object.entries(hasV6 ? V6_SYSCTLS : {})) writeSysctl(key, value, { ifname });
  for (const [key, value] of Object.entries(config.sysctl)) writeConfigured(key, value, ifname);
}

function writeConfigured(key: string, value: string, ifname: string): void {
  try {
    writeSysctl(key, value, { ifname });
  } catch (error) {
    const code = codeOf(error);
    throw invalid(
      `sysctl ${key}`,
      value,
      code === "ENOENT" ? "this kernel has no such key" : `the kernel refuses it (${code})`,
    );
  }
}
