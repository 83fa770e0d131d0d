import { inWords } from "../../cni/attachment/owed.ts";
import type { AttachmentStatus, DebtStatus, NodeStatus, RailStatus } from "./node-status.ts";

/** What is wrong on a node, one sentence each, with what to do. Pure. */
export function problemsOf(status: Omit<NodeStatus, "problems">): string[] {
  const { agent, rails, unusable, attachments, debts } = status;
  return [
    ...(agent.answers ? [] : [agent.why]),
    ...(agent.answers && agent.notReady ? [`the agent does not serve: ${agent.notReady}`] : []),
    ...((agent.answers && agent.refused) || []),
    ...(unusable ? [`${unusable} (key rails of the ConfigMap kube-system/railnet-config)`] : []),
    ...rails.flatMap(railProblems),
    ...attachments.flatMap(attachmentProblems),
    ...debts.map(debtProblem),
  ];
}

function railProblems({ rail, pf, link, vfs }: RailStatus): string[] {
  const name = rail === pf ? `PF ${pf}` : `rail ${rail} (${pf})`;
  return [
    ...(link === "down" ? [`${name} is down: ip link set ${pf} up`] : []),
    ...(link === "no carrier" ? [`${name} has no carrier: check cable and switch`] : []),
    ...vfs.flatMap(({ pci, state }) => {
      if (state === "unbound") return [`VF ${pci} of ${name} has no driver: load the one of its vendor`];
      if (state !== "elsewhere") return [];
      return [`VF ${pci} of ${name} is in a network namespace, and not by Railnet: does another plugin use this PF?`];
    }),
  ];
}

const debtProblem = ({ vf, rail, since, owed }: DebtStatus): string =>
  `VF ${vf} of ${rail} is given to no pod: it is not fully restored since ${since} had it: ${inWords(owed)}: fix that; the agent retries on carrier, when a driver is bound, and every 20 seconds`;

const STATES: Readonly<Partial<Record<AttachmentStatus["state"], string>>> = {
  astray: "the pod lives, but its VF is not in its namespace: recreate the pod",
  orphaned: "its pod is gone: the agent cleans it up within a minute, or `railnet reconcile`",
  rebooted: "it is from before the reboot: the agent cleans it up, or `railnet reconcile`",
};

const FENCED =
  "it is down by the fence, since this node could not report to the API server: it comes up when it can, unless another pod " +
  "has its address by then (an event of the pod says so: delete the pod)";

function attachmentProblems({ pod, containerId, ifname, vf, state, isFenced }: AttachmentStatus): string[] {
  const why = STATES[state] ?? (isFenced && FENCED);
  return why ? [`VF ${vf} of ${pod || `container ${containerId}`} (${ifname}): ${why}`] : [];
}
