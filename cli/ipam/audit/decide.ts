import type { NodeState } from "../../../daemonset/addresses/leader/nodes.ts";
import type { AuditFinding } from "./finding.ts";

/**
 * Whether an orphan may be freed from here, by the rules of the agents' own garbage collection. Pure. If its node exists,
 * only that node's agent sees whether a sandbox still uses the address; an orphan without a node (Whereabouts made it) is
 * free only if no pod of that name exists.
 *
 * @param stateOf of a node, by a quorum read.
 */
export function decide(finding: AuditFinding, stateOf: (node: string) => NodeState): AuditFinding {
  if (finding.kind !== "orphan") return finding;
  const node = nodeOf(finding);
  if (node && stateOf(node) === "gone") return { ...finding, advice: `it is freed: node ${node} is gone for good` };
  if (node) {
    const advice = `the agent of ${node} frees it when no sandbox there uses it; where no agent runs: ${byHand(finding)}`;
    return { ...finding, fix: "none", advice };
  }
  if (finding.owners.every(({ podExists }) => !podExists))
    return { ...finding, advice: "it is freed: no such pod exists, and nothing names a node" };
  const advice = `nothing names its node, so only a pod that does not exist is proof; to free it anyway: ${byHand(finding)}`;
  return { ...finding, fix: "none", advice };
}

/** For an orphan; empty if unknown. */
export const nodeOf = ({ owners }: AuditFinding): string => owners.find(({ node }) => node)?.node ?? "";

const byHand = ({ ip, network }: AuditFinding): string =>
  `railnet ipam release ${ip}${network ? ` --network ${network}` : ""}`;
