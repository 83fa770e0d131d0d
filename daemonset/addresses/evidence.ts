import { type Cluster, type KubeObject, PODS } from "../../kubernetes/cluster.ts";

export interface Pod extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: { readonly phase?: string };
}

/** A quorum read of a pod. Undefined: NotFound. */
export function readPod(cluster: Cluster, podref: string, signal?: AbortSignal): Promise<Pod | undefined> {
  const [namespace = "", name = ""] = podref.split("/");
  return cluster.get<Pod>(PODS, name, { namespace, signal });
}

/** Whether a podref names a pod at all: others are marks of another program, and are left alone for good. */
export const isPodref = (podref: string): boolean => /^[^/]+\/[^/]+$/.test(podref);

/** On the object that shows a static pod: the UID under which its kubelet runs it, a hash of its configuration. */
const MIRROR = "kubernetes.io/config.mirror";

/** The UID in a pod's CNI calls. A static pod's is not that of its object; kubelet, pkg/kubelet/pod/mirror_client.go. */
export const uidOf = ({ metadata: { uid = "", annotations } }: KubeObject): string => annotations?.[MIRROR] ?? uid;

/**
 * Why a pod no longer needs its address; undefined while it may. Pure. What its annotations say, or do not say, is no
 * evidence: Multus writes them after ADD.
 *
 * @param podUid empty if unknown.
 */
export function podIsOver(pod: Pod | undefined, podUid: string): string | undefined {
  if (!pod) return "its pod does not exist";
  const uid = uidOf(pod);
  if (podUid && uid !== podUid) return `its pod is gone, and another of the same name has UID ${uid}`;
  const phase = pod.status?.phase;
  return phase === "Succeeded" || phase === "Failed" ? `its pod has finished: ${phase}` : undefined;
}
