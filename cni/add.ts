import { finishLeftover, freeDevice, lockAttachment, lockDevice } from "./attachment/claim.ts";
import { detach } from "./attachment/detach.ts";
import { findDevice } from "./attachment/device.ts";
import { checkDeviceInfoPath, writeDeviceInfo } from "./attachment/device-info.ts";
import { Journal } from "./attachment/journal.ts";
import { configurePf, snapshot } from "./attachment/pf.ts";
import { announceLater, checkNameFree, configureInPod, moveIntoPod, openTarget } from "./attachment/pod.ts";
import { moveRdma, planRdma } from "./attachment/rdma.ts";
import type { Attachment } from "./attachment/record.ts";
import { readConfig } from "./config.ts";
import type { Host } from "./host.ts";
import { NetlinkSocket } from "./kernel/netlink/socket.ts";
import { inNetns, netnsInode } from "./kernel/netns.ts";
import { delegate } from "./protocol/delegate.ts";
import type { Call } from "./protocol/request.ts";
import { emptyResult, mergeResult, type Result } from "./protocol/result.ts";

/** IPAM plugins get this long to answer; the shim waits 110 s for the whole ADD. */
const IPAM_TIMEOUT_MS = 60_000;

/**
 * ADD: one VF into the pod's namespace, with its addresses and its RDMA device. Nothing is changed before the record
 * is on disk; whatever fails afterwards is undone by detach(), the same function that DEL and the reconciler use.
 */
export async function add(call: Call, host: Host): Promise<Result> {
  const config = readConfig(call);
  checkDeviceInfoPath(config, host);
  if (call.config.logFile)
    host.log.warn(
      { logFile: call.config.logFile },
      "logFile is ignored: a network configuration may not name files for root to write",
    );
  using netns = openTarget(call);
  using rtnl = inNetns(netns, () => new NetlinkSocket());
  using _attachment = await lockAttachment(call, "ADD", host);
  await finishLeftover(call, host);
  using _device = await lockDevice(config.deviceID, "ADD", host);
  await freeDevice(config.deviceID, host);
  const device = findDevice(config, host);
  checkNameFree(rtnl, call);
  const rdma = planRdma(device.pci, config.rdma, host);
  const original = snapshot(device, config, rdma, host);
  host.step("add-locked");

  await using undo = new AsyncDisposableStack();
  const journal = new Journal(host.paths.stateDir);
  const record = newRecord(call, device, original, netnsInode(netns), config, host);
  let asked = false;
  undo.defer(() => detach(record, host, { release: asked }));
  journal.write(record, { durable: true });
  host.step("add-journalled");

  // The only step that leaves the node runs beside the kernel's work; a failure of either undoes both.
  const reserving = config.ipamType
    ? delegate(host.exec, "ADD", config.ipamType, call, { timeoutMs: IPAM_TIMEOUT_MS, signal: host.signal })
    : undefined;
  asked = reserving !== undefined;
  reserving?.catch(() => {});
  undo.defer(async () => void (await reserving?.catch(() => {})));
  await configurePf(device, config, original, host);
  host.step("add-pf-configured");
  host.signal.throwIfAborted();
  moveIntoPod(device, config, original, netns, call, host);
  host.step("add-moved");
  const addresses = (await reserving) ?? emptyResult();
  host.step("add-addresses-reserved");
  const link = await configureInPod(device, config, addresses, { netns, rtnl }, call, host);
  host.step("add-configured");
  moveRdma(rdma, netns);
  host.step("add-rdma-moved");
  writeDeviceInfo(config, device, rdma.devices);
  host.step("add-device-info-written");
  host.signal.throwIfAborted();

  const ours = { name: call.ifname, ...link, sandbox: call.netns, pciID: device.pci };
  const result = mergeResult(call.prevResult, ours, addresses, call.config.dns);
  journal.write({ ...record, phase: "attached", result }, { durable: false });
  undo.move();
  host.step("add-committed");
  host.background(announceLater(netns, call.ifname, addresses, host));
  return result;
}

function newRecord(
  call: Call,
  device: Attachment["device"],
  original: Attachment["original"],
  inode: number,
  config: ReturnType<typeof readConfig>,
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
    netnsInode: inode,
    device: { pci: device.pci, ...(device.pf && { pf: device.pf }) },
    original,
    applied: original.vf ? { ...config.vf, ...(config.mac && { mac: config.mac }) } : {},
    ...(config.sourceRules && { hasRules: true }),
    ...(config.deviceInfoFile && { deviceInfoFile: config.deviceInfoFile }),
    request: { path: call.path, args: call.request.env.CNI_ARGS ?? "", stdin: call.request.stdin },
    ...(namespace && pod && { pod: `${namespace}/${pod}` }),
  };
}
