import { LABEL, type Reservation, textOf } from "../../ipam/whereabouts/objects.ts";
import { quarantinedMs } from "../../ipam/whereabouts/quarantine.ts";
import type { KubeObject } from "../../kubernetes/cluster.ts";

/** What is kept of one reservation. Short: the leader holds all of a cluster, 100,000 and more. */
export interface Reserved extends KubeObject {
  readonly metadata: {
    /** `[network-]address`. */
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  /** It is being deleted, and held by another program's finalizer: nothing is left to do, and nothing to rely on. */
  readonly isEnding?: true;
  /** When its address entered quarantine; it may have an owner again. */
  readonly quarantinedMs?: number;
  readonly podref: string;
  readonly ifname: string;
  readonly containerId: string;
  readonly podUid: string;
  /** The rest is empty if Whereabouts made the reservation. */
  readonly node: string;
  readonly pool: string;
  /** When it was created, by the clock of an API server. */
  readonly createdMs?: number;
  /** The network's label: its name, or a hash of a long one. */
  readonly network: string;
}

/** A function that keeps what is needed of a reservation, and one copy of each text that most of them share. */
export function compactor(): (reservation: Reservation) => Reserved {
  const known = new Map<string, string>();
  const shared = (text = ""): string => {
    const first = known.get(text);
    if (first === undefined) known.set(text, text);
    return first ?? text;
  };
  return ({ metadata, spec }) => {
    const { name, namespace, uid = "", resourceVersion = "", labels, creationTimestamp, deletionTimestamp } = metadata;
    const sinceMs = quarantinedMs(metadata);
    const createdMs = Date.parse(creationTimestamp ?? "");
    return {
      ...(deletionTimestamp !== undefined && { isEnding: true as const }),
      metadata: { name, namespace: shared(namespace), uid, resourceVersion },
      podref: spec.podref,
      ifname: shared(spec.ifname),
      containerId: spec.containerid ?? "",
      podUid: labels?.[LABEL.podUid] ?? "",
      node: shared(textOf(metadata, LABEL.node)),
      pool: shared(textOf(metadata, LABEL.pool)),
      network: shared(labels?.[LABEL.network]),
      ...(!Number.isNaN(createdMs) && { createdMs }),
      ...(sinceMs !== undefined && { quarantinedMs: sinceMs }),
    };
  };
}
