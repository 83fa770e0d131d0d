import { age, count, table } from "../table.ts";
import type { AttachmentStatus, NodeStatus, RailStatus } from "./node-status.ts";

/** How many of the agent's notes are shown; --json has more. */
const MAX_NOTES = 8;

/** A node's status for people. Pure. */
export function reportStatus(status: NodeStatus, nowMs: number): string {
  const { rails, absent, attachments } = status;
  return [
    headOf(status, nowMs),
    rails.length > 0 ? railTable(rails) : "no rails: no PF of this node has VFs\n",
    absent.map(({ rail, why }) => `rail ${rail} is not on this node: ${why}\n`).join(""),
    attachments.length > 0 ? attachmentTable(attachments) : "no pod has a VF\n",
    notes(status, nowMs),
    problems(status),
  ]
    .filter(Boolean)
    .join("\n");
}

function headOf({ node, agent, rdma }: NodeStatus, nowMs: number): string {
  const mode = rdma ? `RDMA namespaces ${rdma}` : "no RDMA";
  if (!agent.answers) return `${node}: no agent answers, ${mode}\n`;
  const { version, since, notReady, logLevel, pendingReleases } = agent;
  const is = notReady ? `NOT READY (${notReady})` : "ready";
  const queue = pendingReleases > 0 ? `, ${count(pendingReleases, "release")} of addresses waiting` : "";
  return `${node}: agent ${version} ${is}, up ${age(since, nowMs)}, log level ${logLevel}${queue}, ${mode}\n`;
}

const railTable = (rails: readonly RailStatus[]): string =>
  table(
    [
      { title: "RAIL", of: ({ rail }) => rail },
      { title: "PF", of: ({ pf }) => pf },
      { title: "PCI", of: ({ pci }) => pci },
      { title: "LINK", of: ({ link }) => link },
      { title: "SPEED", of: ({ speed }) => speedText(speed), isNumber: true },
      { title: "MTU", of: ({ mtu }) => mtu ?? "", isNumber: true },
      { title: "NUMA", of: ({ numaNode }) => numaNode ?? "", isNumber: true },
      { title: "RDMA", of: ({ rdma }) => rdma.join(",") },
      { title: "VFS", of: ({ vfs }) => vfs.length, isNumber: true },
      { title: "USED", of: ({ vfs }) => vfs.filter(({ state }) => state === "used").length, isNumber: true },
      { title: "FREE", of: ({ vfs }) => vfs.filter(({ state }) => state === "free").length, isNumber: true },
    ],
    rails,
  );

const attachmentTable = (attachments: readonly AttachmentStatus[]): string =>
  table(
    [
      { title: "POD", of: ({ pod, containerId }) => pod || containerId.slice(0, 13) },
      { title: "INTERFACE", of: ({ ifname }) => ifname },
      { title: "RAIL", of: ({ rail }) => rail },
      { title: "VF", of: ({ vf }) => vf },
      { title: "ADDRESSES", of: ({ addresses }) => addresses.join(",") },
      { title: "NETWORK", of: ({ network }) => network },
      { title: "STATE", of: ({ state }) => state },
    ],
    attachments,
  );

function notes({ agent }: NodeStatus, nowMs: number): string {
  if (!agent.answers || agent.notes.length === 0) return "";
  return table(
    [
      { title: "AGO", of: ({ at }) => age(at, nowMs) },
      { title: "LAST", of: ({ what }) => what },
      { title: "ABOUT", of: ({ about }) => about },
      { title: "WHY", of: ({ message }) => message },
    ],
    agent.notes.slice(-MAX_NOTES).toReversed(),
  );
}

const problems = ({ problems }: NodeStatus): string =>
  problems.length === 0 ? "" : `${count(problems.length, "problem")}:\n${problems.map((one) => `  ${one}\n`).join("")}`;

/** `400G`, `2.5G`, `100M`. Pure. */
export const speedText = (mbps: number | null): string =>
  mbps === null ? "" : mbps < 1000 ? `${mbps}M` : `${mbps / 1000}G`;
