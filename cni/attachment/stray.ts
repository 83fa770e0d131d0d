import { readConfig } from "../config.ts";
import type { Host } from "../host.ts";
import { onHost } from "../host-root.ts";
import { codeOf } from "../kernel/errno.ts";
import { getLink, type Link, listLinks, parseLink } from "../kernel/link.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { inNetns, openNetns } from "../kernel/netns.ts";
import { driverOf, isVf, pfOf } from "../kernel/sysfs.ts";
import type { Call } from "../protocol/request.ts";
import { freshState } from "./drivers.ts";
import { Journal } from "./journal.ts";
import { type Mark, parseMark } from "./mark.ts";
import type { Attachment } from "./record.ts";

/** The attachment of a DEL whose record is lost (a torn file), as far as the mark on the pod's link tells it. */
export function findStray(call: Call, host: Host): Attachment | undefined {
  const mark = markInPod(call, host);
  if (!mark || hasOwner(mark, host)) return undefined;
  const config = readConfig({ ...call, config: { ...call.config, deviceID: mark.pci } });
  const applied = { ...config.vf, ...(config.mac && { mac: config.mac }) };
  return {
    ...fromMark(mark, host),
    applied,
    network: config.network,
    netns: call.netns,
    containerId: call.containerId,
    ifname: call.ifname,
    request: { path: call.path, args: call.request.env.CNI_ARGS ?? "", stdin: call.request.stdin },
  };
}

/** VFs that fell back to the host's namespace and whose record is lost: marked links that no attachment owns. */
export function straysInHost(host: Host): Attachment[] {
  return host.rtnl
    .dump(listLinks(), { evenInterrupted: true })
    .map((body) => parseMark(parseLink(body).alias))
    .filter((mark) => mark !== undefined)
    .filter((mark) => !hasOwner(mark, host))
    .map((mark) => fromMark(mark, host));
}

function markInPod({ netns: path, ifname }: Call, { paths }: Host): Mark | undefined {
  try {
    using netns = openNetns(onHost(paths.hostRoot, path));
    using pod = inNetns(netns, () => new NetlinkSocket());
    const link: Link = parseLink(pod.request(getLink({ name: ifname }))!);
    return parseMark(link.alias);
  } catch (error) {
    if (["ENOENT", "ENOTNETNS", "ENOTDIR", "ENODEV"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

function hasOwner({ pci }: Mark, host: Host): boolean {
  return new Journal(host.paths.stateDir).activeOwners(pci, host.bootId).length > 0;
}

function fromMark({ pci, ...original }: Mark, host: Host): Attachment {
  const { sysfs } = host.paths;
  const pf = isVf(sysfs, pci) ? pfOf(sysfs, pci) : undefined;
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
    original: { ...original, alias: "", altnames: [], up: false, vf: freshState(driverOf(sysfs, pf?.pci ?? "")) },
    applied: {},
    request: { path: [], args: "", stdin: "{}" },
  };
}
