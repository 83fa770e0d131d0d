import { canonicalIp } from "../../../cni/protocol/ip.ts";
import { type Pod, uidOf } from "../../../daemonset/addresses/evidence.ts";
import { type Cluster, PODS } from "../../../kubernetes/cluster.ts";
import type { PodsState, Used } from "./entries.ts";

/** Multus writes it after ADD. */
const NETWORK_STATUS = "k8s.v1.cni.cncf.io/network-status";
const FINISHED = ["Succeeded", "Failed"] as const;

/** All pods of the cluster, metadata only: whole ones are ten times as large. @throws {ApiError} */
export async function readPods(cluster: Cluster): Promise<PodsState> {
  const [{ items }, ...finished] = await Promise.all([
    cluster.list<Pod>(PODS, { namespace: "", metadataOnly: true }),
    ...FINISHED.map((phase) => readFinished(cluster, phase)),
  ]);
  const phases = new Map(finished.flat());
  const pods = new Map<string, Pod>();
  const used: Used[] = [];
  for (const item of items) {
    const { namespace = "", name, uid = "", annotations } = item.metadata;
    const phase = phases.get(uid) ?? "Running";
    pods.set(`${namespace}/${name}`, { metadata: { namespace, name, uid: uidOf(item) }, status: { phase } });
    if (!phases.has(uid)) used.push(...usedBy(`${namespace}/${name}`, annotations?.[NETWORK_STATUS]));
  }
  return { pods, used };
}

async function readFinished(cluster: Cluster, phase: string): Promise<[uid: string, phase: string][]> {
  const selection = { namespace: "", metadataOnly: true, fieldSelector: `status.phase=${phase}` };
  const { items } = await cluster.list<Pod>(PODS, selection);
  return items.map(({ metadata: { uid = "" } }) => [uid, phase]);
}

/** A pod's addresses from its annotation, except those of its default network, which are not ours. Pure. */
export function usedBy(podref: string, networkStatus: string | undefined): Used[] {
  return entriesIn(networkStatus).flatMap(({ interface: ifname, ips, default: isDefault }) => {
    if (isDefault === true || typeof ifname !== "string" || !Array.isArray(ips)) return [];
    const canonical = ips.map((ip) => (typeof ip === "string" ? canonicalIp(ip) : undefined));
    return canonical.flatMap((ip) => (ip ? [{ podref, ifname, ip }] : []));
  });
}

/** Whoever may write to a pod may write anything there. */
function entriesIn(text = "[]"): Record<string, unknown>[] {
  try {
    const entries: unknown = JSON.parse(text);
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry === "object" && entry !== null) : [];
  } catch {
    return [];
  }
}
