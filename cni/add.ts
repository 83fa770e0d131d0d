import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { inNetns } from "../kernel/netns.ts";
import { attach } from "./attach.ts";
import { finishLeftover, freeDevice, putStrayRight } from "./attachment/claim.ts";
import { findDevice } from "./attachment/device.ts";
import { checkDeviceInfoPath } from "./attachment/device-info.ts";
import { lockAttachments, lockDevices } from "./attachment/exclusion.ts";
import { noteOrigin } from "./attachment/home.ts";
import { refuseHostUse } from "./attachment/host-use.ts";
import { snapshot } from "./attachment/pf.ts";
import { checkAltnameFree, checkNameFree, openTarget, type PodNetns } from "./attachment/pod.ts";
import { planRdma } from "./attachment/rdma.ts";
import { type AttachConfig, ignoredKeys, readConfig, withOwnKeys } from "./config.ts";
import type { Host } from "./host.ts";
import type { Plan } from "./plan.ts";
import type { Call } from "./protocol/request.ts";
import { checkSayable, type Result } from "./protocol/result.ts";
import { onRail, railCalls } from "./rail-calls.ts";

/** One requested VF: a network of several rails requests one of each. */
interface Asked {
  readonly call: Call;
  readonly config: AttachConfig;
}

/** ADD: moves a VF into the pod's namespace, with its addresses and its RDMA device; for a network of several rails one of each, or none. */
export async function add(call: Call, host: Host): Promise<Result> {
  const asked: Asked[] = [];
  for (const one of railCalls(call)) asked.push(await onRail(one, () => readAsked(one, host)));
  warnOfIgnored(call, host);
  using netns = openTarget(call, host);
  using rtnl = inNetns(netns, () => new NetlinkSocket());
  using _attachments = await lockAttachments(
    call,
    asked.map((one) => one.call),
    "ADD",
    host,
  );
  for (const one of asked) await onRail(one.call, () => finishLeftover(one.call, host));
  using _devices = await lockDevices(
    asked.map(({ config }) => config.deviceID),
    "ADD",
    host,
  );
  checkAltnameFree(rtnl, asked[0]!.call);
  const plans: Plan[] = [];
  for (const one of asked) plans.push(await onRail(one.call, () => plan(one, { netns, rtnl }, host)));
  host.step("add-locked");
  return await attach(plans, call, host);
}

function readAsked(call: Call, host: Host): Asked {
  const config = readConfig(call);
  checkDeviceInfoPath(config, host);
  checkSayable(call.config.cniVersion, config.ipamType !== undefined || (call.prevResult?.ips.length ?? 0) > 0);
  if (config.ipamType) host.ipam.require(config.ipamType, call);
  return { call, config };
}

/** Refuses everything that can be refused before a change. The caller holds the locks of the attachment and of the VF. */
async function plan({ call, config }: Asked, pod: PodNetns, host: Host): Promise<Plan> {
  await freeDevice(config.deviceID, host);
  checkNameFree(pod.rtnl, call);
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
  return { call, config, device, rdma, was, pod };
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
