import { NODES } from "../../kubernetes/cluster.ts";
import type { EventRequest } from "../../kubernetes/events/kube-event.ts";
import type { RailChange } from "./rail-reach.ts";

/** What is told of a rail, at the Node; of a peer nothing is, since each node would. Pure. */
export function railEvent(
  node: string,
  hasCarrier: boolean,
  { rail, reached, nodes, isLost }: RailChange,
): EventRequest {
  const about = { resource: NODES, namespace: "", name: node, uid: node }; // where kubectl describe node looks
  const count = `${reached} of ${nodes} nodes are reached by ${rail}`;
  if (!isLost) return { about, type: "Normal", reason: "RailBack", message: `${count} again`, sameness: rail };
  const why = hasCarrier
    ? `it has carrier, so look at the rail's switch, and at railnet routes on this node`
    : `it has no carrier: look at this node's cable, its port and transceiver`;
  const message = `${count}: traffic to the others goes by other rails or the normal network; ${why}`;
  return { about, type: "Warning", reason: "RailLost", message, sameness: rail };
}
