import type { Link } from "../kernel/link.ts";
import { netnsInode } from "../kernel/netns.ts";
import { AddressRequests } from "./address-requests.ts";
import { announceAfterwards } from "./attachment/announce.ts";
import { detach } from "./attachment/detach.ts";
import { writeDeviceInfo } from "./attachment/device-info.ts";
import { Journal } from "./attachment/journal.ts";
import { configurePf } from "./attachment/pf.ts";
import { configureInPod, isProbed, moveIntoPod, prepareForIpam } from "./attachment/pod.ts";
import { moveRdma } from "./attachment/rdma.ts";
import { awaitRdma, type RdmaAsked, type RdmaInPod } from "./attachment/rdma-ready.ts";
import type { Attachment, LinkAtAdd } from "./attachment/record.ts";
import { readOffered } from "./attachment/told/offered.ts";
import { tellPod } from "./attachment/told/tell.ts";
import { toldRail } from "./attachment/told/told-rail.ts";
import type { Host } from "./host.ts";
import type { Plan } from "./plan.ts";
import type { Call } from "./protocol/request.ts";
import { formatResult, type Interface, mergeResult, type Result } from "./protocol/result.ts";
import { onRail } from "./rail-calls.ts";
import type { Step } from "./steps.ts";
import { Turns } from "./turns.ts";

/** One VF on its way into the pod, with its record as it is on disk. */
class Attaching {
  readonly plan: Plan;
  readonly #journal: Journal;
  record: Attachment;
  addresses!: Result;
  /** In the pod; undefined for a VF without one. */
  link: Link | undefined;
  rdma: readonly string[] = [];
  /** Its RDMA device as it is in the pod; undefined without one, and where nobody looked. */
  seen: RdmaInPod | undefined;

  constructor(plan: Plan, journal: Journal, host: Host) {
    this.plan = plan;
    this.#journal = journal;
    this.record = newRecord(plan, host);
  }

  note(change: Partial<Attachment>): void {
    this.#journal.update(this.record, change);
    this.record = { ...this.record, ...change };
  }
}

/** Of this thread. */
const turns = new Turns();

/**
 * Attaches VFs to a pod, all or none, in phases: if one of them cannot be had, that is known before much is done for the
 * others. Nothing is changed before the records are on disk; a later failure is undone by detach(), the same function that
 * DEL and the reconciler use. The caller holds the locks of attachments and VFs.
 */
export async function attach(plans: readonly Plan[], call: Call, host: Host): Promise<Result> {
  await using undo = new AsyncDisposableStack();
  const journal = new Journal(host.paths.stateDir);
  const all = plans.map((plan) => new Attaching(plan, journal, host));
  const requests = new AddressRequests(plans, host);
  for (const one of all) {
    undo.defer(() => detach(one.record, host, { release: requests.wasAsked(one.plan) }));
    journal.write(one.record);
    if (one.record.set) host.step("add-recorded", one.record.ifname);
  }
  const each = async (step: Step, work: (one: Attaching) => unknown) => {
    for (const one of all) {
      await onRail(one.plan.call, () => work(one));
      host.step(step, one.record.ifname);
    }
  };

  // The only step that leaves the node runs in parallel with work on disk and kernel, in this process; if any fails, all is undone.
  requests.begin();
  undo.defer(() => requests.settled());
  if (requests.keepState) await turns.take(call.containerId); // otherwise the plugin gets its stdin only after the kernel's work
  await journal.sync(all.map(({ record }) => record));
  host.step("add-journalled");
  await each("add-pf-configured", (one) => setAtPf(one, host));
  await each("add-moved", ({ plan }) => {
    host.signal.throwIfAborted();
    moveIntoPod(plan.device, plan.config, plan.was, plan.pod.netns, plan.call, host);
  });
  for (const { plan } of all)
    if (requests.isLate(plan))
      await onRail(plan.call, () => prepareForIpam(plan.device, plan.config, plan.pod, plan.call, host));
  for (const one of all) one.addresses = await onRail(one.plan.call, () => requests.of(one.plan));
  host.step("add-addresses-reserved");
  await each("add-configured", async (one) => {
    const { device, config, pod, call } = one.plan;
    one.link = await configureInPod(device, config, one.addresses, pod, call, host, (rules) => one.note({ rules }));
  });
  await each("add-rdma-moved", async (one) => {
    one.rdma = await moveRdma(one.plan.rdma, one.plan.device.pci, one.plan.pod.netns, one.plan.call, host);
  });
  const offered = readOffered(host.paths.runDir);
  for (const one of all)
    one.seen = await onRail(one.plan.call, () => awaitRdma(rdmaOf(one), offered !== undefined, host));
  await each("add-device-info-written", ({ plan, rdma }) => writeDeviceInfo(plan.config, plan.device, rdma));
  if (offered) await tellPod(call.containerId, all.map((one) => toldRail(one, offered, host)), host); // biome-ignore format: one row
  host.signal.throwIfAborted();

  const result = all.reduce<Result | undefined>(
    (before, one) => mergeResult(before, interfaceOf(one), one.addresses, call.config.dns),
    call.prevResult,
  )!;
  formatResult(result, call.config.cniVersion); // what the caller's version cannot express is refused while it can be undone
  for (const one of all.toReversed()) {
    one.note({ phase: "attached", addresses: one.addresses, ...movedAs(one) }); // the first rail's record last: Journal.isWhole()
    if (one.record.set) host.step("add-attached", one.record.ifname);
  }
  undo.move();
  host.step("add-committed");
  for (const { plan, link, addresses } of all) {
    const isSaid = !requests.isLate(plan) && isAnnounced(link, isProbed(plan.config, addresses));
    if (!isSaid) announceAfterwards(plan.pod.netns, plan.call.ifname, addresses, host);
  }
  return result;
}

async function setAtPf(one: Attaching, host: Host): Promise<void> {
  const { device, config, was } = one.plan;
  await configurePf(device, config, was, host, () => one.note({ original: { ...one.record.original, pinned: true } }));
}

const rdmaOf = ({ plan, rdma, link, addresses }: Attaching): RdmaAsked => ({
  pci: plan.device.pci,
  devices: rdma,
  isMoved: plan.rdma.move,
  netns: plan.pod.netns,
  addresses: addresses.ips.map(({ address }) => address.split("/", 1)[0]!),
  ...(link && { linkMtu: link.mtu }),
  config: plan.config,
});

/** With carrier, the kernel told the neighbours when the link came up; a probe and foreign IPAM bring it up before it has addresses. */
const isAnnounced = (link: Link | undefined, isProbed: boolean): boolean =>
  link === undefined || (link.carrier && !isProbed);

/** The interface for the result. */
const interfaceOf = ({ plan, link }: Attaching): Interface => ({
  name: plan.call.ifname,
  ...shown(plan, link),
  sandbox: plan.call.netns,
  pciID: plan.device.pci,
});

/** MAC and MTU for the result; for a VF without a link, those that the PF will give it. */
function shown({ config, was: { original } }: Plan, link: Link | undefined): { mac?: string; mtu?: number } {
  if (link) return { mac: link.mac, mtu: link.mtu };
  const mac = config.mac ?? original.vf?.mac;
  return mac && !/^[0:]+$/.test(mac) ? { mac } : {};
}

const linkAtAdd = ({ index, parent, kind }: Link): LinkAtAdd => ({ index, hasParent: parent !== "", kind });

/** The kernel gives a link a new index if the pod already has its old one. */
const movedAs = ({ link, record: { link: was } }: Attaching): Pick<Attachment, "link"> =>
  link && was && link.index !== was.index ? { link: { ...was, podIndex: link.index } } : {};

function newRecord(
  { call, config, device, was: { original, link, adminMac }, pod: { netns } }: Plan,
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
    ...(call.set && { set: call.set }),
    ...(namespace && pod && { pod: `${namespace}/${pod}` }),
  };
}
