import type { Link } from "../kernel/link.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { inNetns, netnsInode } from "../kernel/netns.ts";
import { announceAfterwards } from "./attachment/announce.ts";
import { finishLeftover, freeDevice, putStrayRight } from "./attachment/claim.ts";
import { detach } from "./attachment/detach.ts";
import { type Device, findDevice } from "./attachment/device.ts";
import { checkDeviceInfoPath, writeDeviceInfo } from "./attachment/device-info.ts";
import { lockAttachment, lockDevice } from "./attachment/exclusion.ts";
import { noteOrigin } from "./attachment/home.ts";
import { refuseHostUse } from "./attachment/host-use.ts";
import { Journal } from "./attachment/journal.ts";
import { configurePf, type PfSnapshot, snapshot } from "./attachment/pf.ts";
import {
  checkNameFree,
  configureInPod,
  isProbed,
  moveIntoPod,
  openTarget,
  type PodNetns,
  prepareForIpam,
} from "./attachment/pod.ts";
import { moveRdma, planRdma, type RdmaPlan } from "./attachment/rdma.ts";
import type { Attachment, LinkAtAdd } from "./attachment/record.ts";
import { type AttachConfig, ignoredKeys, readConfig, withOwnKeys } from "./config.ts";
import type { Host } from "./host.ts";
import type { AskLimits } from "./ipam.ts";
import type { Call } from "./protocol/request.ts";
import { checkSayable, emptyResult, formatResult, mergeResult, type Result } from "./protocol/result.ts";
import { Turns } from "./turns.ts";

/** All that an ADD works with, once everything that can be refused without a change has been. */
interface Plan {
  readonly config: AttachConfig;
  readonly device: Device;
  readonly rdma: RdmaPlan;
  readonly was: PfSnapshot;
  readonly pod: PodNetns;
}

/** ADD: one VF into the pod's namespace, with its addresses and its RDMA device. */
export async function add(call: Call, host: Host): Promise<Result> {
  const config = readConfig(call);
  checkDeviceInfoPath(config, host);
  checkSayable(call.config.cniVersion, config.ipamType !== undefined || (call.prevResult?.ips.length ?? 0) > 0);
  if (config.ipamType) host.ipam.require(config.ipamType, call);
  warnOfIgnored(call, host);
  using netns = openTarget(call, host);
  using rtnl = inNetns(netns, () => new NetlinkSocket());
  using _attachment = await lockAttachment(call, "ADD", host);
  await finishLeftover(call, host);
  using _device = await lockDevice(config.deviceID, "ADD", host);
  await freeDevice(config.deviceID, host);
  checkNameFree(rtnl, call);
  const look = async () => {
    const device = findDevice(config, host);
    const rdma = await planRdma(device.pci, config.rdma, host);
    return { device, rdma, was: await snapshot(device, config, rdma, host) };
  };
  const seen = await look();
  const { link } = seen.was;
  const { device, rdma, was } = link && (await putStrayRight(config.deviceID, link, host)) ? await look() : seen;
  refuseHostUse(device.pci, was.link, host.paths, host.rtnl);
  if (was.link) noteOrigin(device.pci, was.link, was.original, host);
  host.step("add-locked");
  return await attach({ config, device, rdma, was, pod: { netns, rtnl } }, call, host);
}

/**
 * Nothing is changed before the record is on disk; whatever fails afterwards is undone by detach(), the same function
 * that DEL and the reconciler use.
 */
async function attach(plan: Plan, call: Call, host: Host): Promise<Result> {
  const { config, device, was, pod } = plan;
  await using undo = new AsyncDisposableStack();
  const journal = new Journal(host.paths.stateDir);
  let record = newRecord(plan, call, host);
  const note = (change: Partial<Attachment>) => {
    journal.update(record, change);
    record = { ...record, ...change };
  };
  let asked = false; // an IPAM plugin that never ran has nothing to release, and perhaps is not even there
  undo.defer(() => detach(record, host, { release: asked }));
  journal.write(record);

  // The only step that leaves the node runs beside the disk's and the kernel's work, in this process; a failure of one undoes all.
  const onAsk = () => {
    asked = true;
  };
  const reserve = () => reserveAddresses(config, call, host, onAsk);
  const reserving = hasForeignIpam(config, host) ? undefined : reserve();
  undo.defer(() => reserving?.then(noop, noop));
  if (config.ipamType && host.ipam.keepsState(config.ipamType)) await turns.take(call.containerId); // or the plugin gets its stdin only after the kernel's work
  journal.sync(record);
  host.step("add-journalled");
  await configurePf(device, config, was, host, () => {
    const original = { ...record.original, pinned: true } as const;
    journal.update(record, { original });
    record = { ...record, original };
  });
  host.step("add-pf-configured");
  host.signal.throwIfAborted();
  moveIntoPod(device, config, was, pod.netns, call, host);
  host.step("add-moved");
  if (!reserving) await prepareForIpam(device, config, pod, call, host);
  const addresses = await (reserving ?? reserve());
  host.step("add-addresses-reserved");
  const link = await configureInPod(device, config, addresses, pod, call, host, (rules) => note({ rules }));
  host.step("add-configured");
  const rdma = await moveRdma(plan.rdma, device.pci, pod.netns, call, host);
  host.step("add-rdma-moved");
  writeDeviceInfo(config, device, rdma);
  host.step("add-device-info-written");
  host.signal.throwIfAborted();

  const ours = { name: call.ifname, ...shown(plan, link), sandbox: call.netns, pciID: device.pci };
  const result = mergeResult(call.prevResult, ours, addresses, call.config.dns);
  formatResult(result, call.config.cniVersion); // what the caller's version cannot say is refused while it can be undone
  note({ phase: "attached", addresses, ...movedAs(link, record) });
  undo.move();
  host.step("add-committed");
  const isSaid = reserving && isAnnounced(link, isProbed(config, addresses));
  if (!isSaid) announceAfterwards(pod.netns, call.ifname, addresses, host);
  return result;
}

/** With carrier the kernel has told the neighbours when the link came up; a probe and foreign IPAM bring it up before its addresses. */
const isAnnounced = (link: Link | undefined, isProbed: boolean): boolean =>
  link === undefined || (link.carrier && !isProbed);

/** MAC and MTU for the result; of a VF without a link, what the PF will give it. */
function shown({ config, was: { original } }: Plan, link: Link | undefined): { mac?: string; mtu?: number } {
  if (link) return { mac: link.mac, mtu: link.mtu };
  const mac = config.mac ?? original.vf?.mac;
  return mac && !/^[0:]+$/.test(mac) ? { mac } : {};
}

/** Of this thread. */
const turns = new Turns();

const noop = () => {};

const hasForeignIpam = ({ ipamType }: AttachConfig, host: Host): boolean =>
  ipamType !== undefined && host.ipam.isForeign(ipamType);

/** Never an unhandled rejection: attach() awaits it later, or undoes. */
function reserveAddresses(
  { ipamType }: AttachConfig,
  call: Call,
  { ipam, ipamTimeoutMs: timeoutMs, signal }: Host,
  onAsk: AskLimits["onAsk"] & {},
): Promise<Result> {
  if (!ipamType) return Promise.resolve(emptyResult());
  const reserving = ipam.ask("ADD", ipamType, call, { timeoutMs, signal, onAsk });
  const addresses = reserving.then((result) => result ?? emptyResult());
  addresses.catch(noop);
  return addresses;
}

function warnOfIgnored(call: Call, host: Host): void {
  const { runtimeConfig, logFile } = withOwnKeys(call).config;
  if (runtimeConfig?.["infinibandGUID"])
    host.log.warn(
      { infinibandGUID: runtimeConfig["infinibandGUID"] },
      "infinibandGUID is ignored: rails are Ethernet, whose VFs have none",
    );
  if (logFile)
    host.log.warn({ logFile }, "logFile is ignored: a network configuration may not name files for root to write");
  const keys = ignoredKeys(call);
  if (keys.length > 0)
    host.log.warn(
      { network: call.config.name, keys },
      "keys are ignored that sriov-cni does not have; under the type railnet-sriov they count",
    );
}

const linkAtAdd = ({ index, parent, kind }: Link): LinkAtAdd => ({ index, hasParent: parent !== "", kind });

/** The kernel gives a link another index where the pod has one of that index. */
const movedAs = (link: Link | undefined, { link: was }: Attachment): Pick<Attachment, "link"> =>
  link && was && link.index !== was.index ? { link: { ...was, podIndex: link.index } } : {};

function newRecord(
  { config, device, was: { original, link, adminMac }, pod: { netns } }: Plan,
  call: Call,
  host: Host,
): Attachment {
  const { K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: pod } = call.args;
  return {
    version: 1,
    phase: "claimed",
    bootId: host.bootId,
    containerId: call.containerId,
    ifname: call.ifname,
    network: config.network,
    netns: call.netns,
    netnsInode: netnsInode(netns),
    device: { pci: device.pci, ...(device.pf && { pf: device.pf }) },
    ...(link && { link: linkAtAdd(link) }),
    original,
    applied: original.vf ? { ...config.vf, ...(adminMac && { mac: adminMac }) } : {},
    ...(config.sourceRules && { hasRules: true, rules: [] }),
    ...(config.deviceInfoFile && { deviceInfoFile: config.deviceInfoFile }),
    request: { path: call.path, args: call.request.env.CNI_ARGS ?? "", stdin: call.request.stdin },
    ...(namespace && pod && { pod: `${namespace}/${pod}` }),
  };
}
