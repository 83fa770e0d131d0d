import { hostname } from "node:os";
import { type Debt, Debts } from "../../cni/attachment/debts.ts";
import { isInPod } from "../../cni/attachment/find-link.ts";
import { Journal } from "../../cni/attachment/journal.ts";
import { openOwnNetns } from "../../cni/attachment/own-netns.ts";
import type { Attachment } from "../../cni/attachment/record.ts";
import type { Host } from "../../cni/host.ts";
import { readRailNames } from "../../daemonset/inventory/rails.ts";
import { listPfsWithVfs, type PfWithVfs } from "../../daemonset/inventory/vfs.ts";
import { railFilesIn } from "../../daemonset/rail-network/file.ts";
import type { NodePolicy } from "../../ipam/host.ts";
import { type Link, linkCalled, linkOf } from "../../kernel/link.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { NETLINK_RDMA, rdmaNetnsMode } from "../../kernel/rdma.ts";
import { driverOf, numaNodeOf, rdmaDevicesOf, speedOf } from "../../kernel/sysfs.ts";
import { AgentSilentError, askAgent } from "../ask-agent.ts";
import type { AgentAnswer, AttachmentStatus, DebtStatus, NodeStatus, RailStatus } from "./node-status.ts";
import { problemsOf } from "./problems.ts";

/** Name of a PF's rail, undefined for a PF that is not one. */
type RailOf = (pf: string) => string | undefined;

export interface GatherOptions {
  readonly host: Host;
  readonly policy: NodePolicy;
  /** Where the ConfigMap is mounted: in a container; on the host it is empty, and the agent knows more. */
  readonly configDir: string;
}

/** Reads kernel and journal, and asks the agent. Takes no locks and changes nothing. */
export async function gatherStatus({ host, policy, configDir }: GatherOptions): Promise<NodeStatus> {
  const { sysfs, stateDir, runDir } = host.paths;
  const attachments = new Journal(stateDir).all();
  const debts = [...new Debts(stateDir).all()];
  const owed = new Set(debts.map(({ device }) => device.pci));
  const used = new Set(attachments.filter(({ phase }) => phase !== "returned").map(({ device }) => device.pci));
  const agent = await ask(runDir);
  const names = agent.answers
    ? agent.rails
    : readRailNames(railFilesIn(configDir, stateDir), sysfs, nameOfAltname(host));
  const railOf: RailOf = (pf) => names.byPf[pf];
  const pfs = listPfsWithVfs(sysfs, { used, owed }).filter(({ name, vfs }) => vfs.length > 0 || railOf(name));
  const known = {
    node: agent.answers ? agent.node : (policy.node ?? hostname()),
    agent,
    rdma: rdmaMode(),
    configured: names.here,
    absent: names.absent,
    unusable: names.unusable,
    rails: pfs.map((pf) => railStatus(pf, railOf, host)),
    attachments: attachments.map((a) => attachmentStatus(a, railOf, host)).toSorted(byPod),
    debts: debts.map((debt) => debtStatus(debt, railOf)),
  };
  return { ...known, problems: problemsOf(known) };
}

/** A name that cannot be looked up counts as missing. */
const nameOfAltname =
  ({ rtnl }: Host) =>
  (altname: string): string | undefined => {
    try {
      return linkCalled(altname, rtnl)?.name;
    } catch {
      return undefined;
    }
  };

async function ask(runDir: string): Promise<AgentAnswer> {
  try {
    return { answers: true, ...(await askAgent(runDir, { ask: "state" })) };
  } catch (error) {
    if (error instanceof AgentSilentError) return { answers: false, why: error.message };
    throw error;
  }
}

/** Null where the kernel has no RDMA. */
function rdmaMode(): NodeStatus["rdma"] {
  try {
    using rdma = new NetlinkSocket({ protocol: NETLINK_RDMA });
    return rdmaNetnsMode(rdma);
  } catch {
    return null;
  }
}

function railStatus({ name, pci, vfs }: PfWithVfs, railOf: RailOf, host: Host): RailStatus {
  const { sysfs } = host.paths;
  const link = readLink(name, host);
  return {
    rail: railOf(name) ?? name,
    pf: name,
    pci,
    driver: driverOf(sysfs, pci) ?? null,
    link: !link ? "gone" : !link.up ? "down" : link.carrier ? "up" : "no carrier",
    speed: speedOf(sysfs, name) ?? null,
    mtu: link?.mtu ?? null,
    numaNode: numaNodeOf(sysfs, pci) ?? null,
    rdma: rdmaDevicesOf(sysfs, pci),
    vfs,
  };
}

function readLink(name: string, host: Host): Link | undefined {
  try {
    return host.rtnl.get(linkOf({ name }));
  } catch {
    return undefined; // it has gone since sysfs was read
  }
}

function attachmentStatus(a: Attachment, railOf: RailOf, host: Host): AttachmentStatus {
  const pf = a.device.pf?.name ?? "";
  return {
    pod: a.pod ?? "",
    ifname: a.ifname,
    network: a.network,
    rail: railOf(pf) ?? pf,
    vf: a.device.pci,
    addresses: (a.addresses?.ips ?? []).map(({ address }) => address),
    containerId: a.containerId,
    ...(a.fenced && { isFenced: true as const }),
    state: stateOf(a, host),
  };
}

function debtStatus({ device, pod, containerId, owed }: Debt, railOf: RailOf): DebtStatus {
  const pf = device.pf?.name ?? "";
  return { vf: device.pci, rail: railOf(pf) ?? pf, since: pod ?? `container ${containerId}`, owed };
}

/** As the reconciler sees it, except for its locks: a `claimed` attachment may be in progress. */
function stateOf(a: Attachment, host: Host): AttachmentStatus["state"] {
  if (a.bootId !== host.bootId) return "rebooted";
  if (a.phase !== "attached") return a.phase;
  using netns = openOwnNetns(a, host);
  if (!netns) return "orphaned";
  return isInPod(a, netns, host) ? "attached" : "astray";
}

const byPod = (a: AttachmentStatus, b: AttachmentStatus): number =>
  `${a.pod} ${a.containerId} ${a.ifname}` < `${b.pod} ${b.containerId} ${b.ifname}` ? -1 : 1;
