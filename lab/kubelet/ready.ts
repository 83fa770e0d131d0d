import type { Json } from "../cluster/raw.ts";
import { until } from "../until.ts";
import type { Place } from "./computer.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Kubelet } from "./kubelet.ts";

/** A cluster of one node. */
interface Parts extends Place {
  readonly kubelet: Kubelet;
  readonly control: ControlPlane;
}

/** What pods of namespace `default` have to wait for. */
const NEEDED = ["serviceaccounts/default", "configmaps/kube-root-ca.crt"];

/**
 * Waits until the node is Ready and a pod can be made in namespace `default`.
 *
 * @throws {Error} at once when a part has ended.
 */
export async function untilReady({ api, node, kubelet, control }: Parts, limitMs: number, everyMs: number) {
  const { raw } = api;
  const isThere = async (path: string) => (await raw.request("GET", path)).status === 200;
  const isReady = async () => {
    const ended = control.broken ?? kubelet.ended;
    if (ended) throw new Error(ended);
    const { body } = await raw.request("GET", `/api/v1/nodes/${node.name}`);
    const ready = body.status?.conditions?.some(({ type, status }: Json) => type === "Ready" && status === "True");
    if (!ready || body.spec.taints) return false;
    return (await Promise.all(NEEDED.map((name) => isThere(`/api/v1/namespaces/default/${name}`)))).every(Boolean);
  };
  await until(`node ${node.name} is ready`, isReady, { limitMs, everyMs });
}
