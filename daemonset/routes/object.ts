import type { KubeObject, Resource } from "../../kubernetes/cluster.ts";

/** manifests/crds/railpeers.yaml; cluster-scoped, of the Node's name. */
export const RAIL_PEERS: Resource = {
  group: "railnet.io",
  version: "v1alpha1",
  plural: "railpeers",
  kind: "RailPeer",
  namespaced: false,
};

/**
 * Where a node's traffic can be sent by its rails: identity and nothing else. All agents watch all of these, so what changes with
 * cables and loads is not in it.
 */
export interface RailPeer extends KubeObject {
  readonly spec: RailPeerSpec;
}

export interface RailPeerSpec {
  /** The Node's InternalIP. */
  readonly primary: string;
  readonly rails: readonly RailPeerRail[];
  /** Of the Node, where its pods are to be reached by rails, too: `10.244.7.0/24`. */
  readonly podCIDRs?: readonly string[];
}

export interface RailPeerRail {
  readonly name: string;
  /** Of the PF, with the length of its network: `10.1.0.7/16`. */
  readonly address: string;
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  /** Mb/s; absent where nobody tells. */
  readonly speed?: number;
}
