import { inParallel } from "../../../daemonset/addresses/parallel.ts";
import { planGc } from "../../../daemonset/addresses/plan-gc.ts";
import type { Reserved } from "../../../daemonset/addresses/reserved.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import type { Progress } from "../progress.ts";
import { apply, type FixOutcome } from "./apply.ts";
import { type AuditFinding, identity } from "./finding.ts";
import { type Look, look } from "./look.ts";

/** A finding, and its outcome. */
export interface Fixed extends AuditFinding {
  readonly outcome: FixOutcome | `failed: ${string}`;
}

/**
 * Looks again after `graceMs`, and corrects what was wrong both times, unchanged, and still is. The other findings of the
 * second look are returned unchanged.
 *
 * @throws {ApiError} when the second look fails; a failure for one finding is reported in its outcome.
 */
export async function fix(first: Look, graceMs: number, cluster: Cluster, progress: Progress): Promise<Fixed[]> {
  const sinceMs = performance.now();
  await progress.wait("waiting for a second look", graceMs);
  const second = await look(cluster, progress);
  const isDue = unchanged(first, second, { sinceMs, nowMs: performance.now(), graceMs });
  const outcomes = new Map<AuditFinding, Fixed["outcome"]>();
  let done = 0;
  await inParallel(second.findings, async (finding) => {
    progress.at("putting right", done++, second.findings.length);
    outcomes.set(finding, isDue(finding) ? await attempt(finding, second, cluster) : leave(finding));
  });
  return second.findings.map((finding) => ({ ...finding, outcome: outcomes.get(finding) ?? "left: not tried" }));
}

const leave = ({ fix, advice }: AuditFinding): FixOutcome =>
  fix === "none" ? `left: ${advice}` : "left: it has changed since the first look; run this again";

async function attempt(finding: AuditFinding, { snapshot }: Look, cluster: Cluster): Promise<Fixed["outcome"]> {
  try {
    return await apply(finding, snapshot, cluster);
  } catch (error) {
    return `failed: ${(error as Error).message}`;
  }
}

/** Which findings are the same as at the first look, down to the versions of what --fix would remove. Pure. */
function unchanged(first: Look, second: Look, time: { sinceMs: number; nowMs: number; graceMs: number }) {
  const before = new Set(first.findings.map(identity));
  const orphans = ({ findings }: Look) => findings.filter(({ fix }) => fix === "free").map(suspect);
  const { suspicions } = planGc(new Map(), orphans(first), { nowMs: time.sinceMs, graceMs: time.graceMs });
  const { due } = planGc(suspicions, orphans(second), time);
  const free = new Set(due.map(({ reserved }) => reserved.metadata.name));
  return (finding: AuditFinding): boolean =>
    finding.fix !== "none" && before.has(identity(finding)) && (finding.fix !== "free" || free.has(identity(finding)));
}

/** An orphan as the agents' garbage collection sees one; for a record alone, its sandbox serves as version. */
function suspect(finding: AuditFinding): { reserved: Reserved; evidence: string } {
  const { reservation, records, why } = finding;
  const { uid = "", resourceVersion = "" } = reservation?.metadata ?? {};
  const version = [resourceVersion, ...records.map(({ pool, key, record }) => `${pool}/${key}/${record.id}`)].join(" ");
  const about = { podref: "", ifname: "", containerId: "", podUid: "", node: "", pool: "", network: "" };
  const metadata = { name: identity(finding), namespace: "", uid, resourceVersion: version };
  return { reserved: { ...about, metadata }, evidence: why };
}
