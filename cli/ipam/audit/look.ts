import { setTimeout as sleep } from "node:timers/promises";
import { type Node, type NodeState, nodeState } from "../../../daemonset/addresses/leader/nodes.ts";
import { inParallel } from "../../../daemonset/addresses/parallel.ts";
import { type Cluster, NODES } from "../../../kubernetes/cluster.ts";
import { sorted } from "../addresses.ts";
import type { Progress } from "../progress.ts";
import { type IpamSnapshot, readSnapshot } from "../snapshot.ts";
import { decide, nodeOf } from "./decide.ts";
import type { AuditFinding } from "./finding.ts";
import { type Audit, planAudit, settled } from "./plan-audit.ts";
import { readPods } from "./read-pods.ts";

/** Between two looks: a state between two writes, or between two of our reads, looks wrong for a moment. */
const SETTLE_MS = 2_000;

export interface Look extends Audit {
  readonly snapshot: IpamSnapshot;
}

/** What is wrong twice in a row, and what --fix would do about it. A cluster without findings is read once. @throws {ApiError} */
export async function look(cluster: Cluster, progress: Progress): Promise<Look> {
  const first = await lookOnce(cluster, progress);
  if (first.findings.length === 0) return first;
  progress.at("looking twice");
  await sleep(SETTLE_MS);
  const second = await lookOnce(cluster, progress);
  const audit = settled(first, second);
  return { ...second, findings: await decided(audit.findings, cluster) };
}

async function lookOnce(cluster: Cluster, progress: Progress): Promise<Look> {
  // In this order: a pod exists before its reservation, so one that is missing here is gone.
  const snapshot = await readSnapshot(cluster, progress);
  progress.at("reading pods");
  const pods = await readPods(cluster);
  progress.at("comparing");
  const { findings, notes } = planAudit(snapshot, pods, Date.now());
  return { snapshot, notes, findings: sorted(findings) };
}

async function decided(findings: readonly AuditFinding[], cluster: Cluster): Promise<AuditFinding[]> {
  const names = new Set(
    findings
      .filter(({ kind }) => kind === "orphan")
      .map(nodeOf)
      .filter(Boolean),
  );
  const states = new Map<string, NodeState>();
  await inParallel(names, async (name) => {
    states.set(name, nodeState(await cluster.get<Node>(NODES, name)));
  });
  return findings.map((finding) => decide(finding, (node) => states.get(node) ?? "down"));
}
