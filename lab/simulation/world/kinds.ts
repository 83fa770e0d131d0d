import {
  CONFIG_MAPS,
  DEFINITIONS,
  EVENTS,
  IP_POOLS,
  LEASES,
  NODE_SLICE_POOLS,
  NODES,
  PODS,
  RESERVATIONS,
} from "../../../kubernetes/cluster.ts";
import type { Kind } from "../api/objects.ts";

/** What the simulated API server serves. */
export const KINDS: readonly Kind[] = [
  IP_POOLS,
  RESERVATIONS,
  NODE_SLICE_POOLS,
  ...[PODS, NODES, CONFIG_MAPS, EVENTS, LEASES, DEFINITIONS].map((kind) => ({
    ...kind,
    allowsUnconditionalUpdate: true,
  })),
];

/** Of all objects of Railnet and Whereabouts. */
export const NAMESPACE = "kube-system";

export const RESERVED = RESERVATIONS.plural;
export const POOLS = IP_POOLS.plural;
