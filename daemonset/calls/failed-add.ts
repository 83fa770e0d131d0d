import type { CniRequest, CniResponse } from "../../cni/protocol/request.ts";
import { PODS } from "../../kubernetes/cluster.ts";
import type { EventRequest } from "../../kubernetes/events/kube-event.ts";
import { factsOf, outcomeOf } from "./facts.ts";
import { failureOf } from "./failures.ts";

/**
 * The event for the pod of a failed ADD: which interface, why, and what to do. A repeated failure of the same interface
 * is the same event even if its message names another device. Undefined for a call without a pod. Pure.
 */
export function failedAdd(request: CniRequest, response: CniResponse): EventRequest | undefined {
  const { pod, ifname, network } = factsOf(request);
  if (!pod.namespace || !pod.name) return undefined;
  const { code, message } = outcomeOf(response);
  const { advice } = failureOf(code);
  return {
    about: { resource: PODS, namespace: pod.namespace, name: pod.name, ...(pod.uid && { uid: pod.uid }) },
    type: "Warning",
    reason: "FailedRailAttach",
    message: `${ifname}${network && ` (${network})`}: ${message || "failed without a message"}. What to do: ${advice}`,
    sameness: `${ifname} ${code}`,
  };
}
