import type { KubeObject } from "../../../kubernetes/cluster.ts";

/** `nodes`, v1, the fields that tell whether a node is there. */
export interface Node extends KubeObject {
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** What is known of a node. `gone`: an operator says that nothing runs on it any more. */
export type NodeState = "ready" | "down" | "gone";

/** The taint by which an operator says that a node is shut down for good, and its pods with it. */
const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";

/** From a Node object, or its absence. */
export function nodeState(node: Node | undefined): NodeState {
  if (!node || node.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE)) return "gone";
  const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
  return ready?.status === "True" ? "ready" : "down";
}
