import type { KubeObject, Resource } from "../../kubernetes/cluster.ts";
import type { PfSelector } from "../rails/config.ts";

/** manifests/crds/railnetworks.yaml; cluster-scoped. */
export const RAIL_NETWORKS: Resource = {
  group: "railnet.io",
  version: "v1alpha1",
  plural: "railnetworks",
  kind: "RailNetwork",
  namespaced: false,
};
/** What the leader writes; whoever may change a RailNetwork's rails is another one. */
export const RAIL_NETWORK_STATUS: Resource = { ...RAIL_NETWORKS, subresource: "status" };

/** The rails of nodes of one kind. */
export interface RailNetwork extends KubeObject {
  readonly spec: RailNetworkSpec;
  readonly status?: RailNetworkStatus;
}

export interface RailNetworkSpec {
  /** Labels that a node must have; none: all nodes. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly rails: readonly NetworkRail[];
  /** As it came; pods.ts reads it. */
  readonly pods?: PodsSpec;
  /** VFs of each rail that are offered as whole sets; the rest is offered singly. */
  readonly sets?: number;
  readonly expect?: Expectations;
  /** Rails that may change, or go, although pods use them. */
  readonly changeInUse?: readonly string[];
  /** As it came; routes/wanted.ts reads it. */
  readonly nodes?: NodesSpec;
}

/** Traffic between nodes over the rails; absent: none of it. The definition gives defaults to what is absent here. */
export interface NodesSpec {
  readonly routes?: boolean;
  readonly controlPlanes?: boolean;
  /** Addresses and CIDRs of nodes that are not reached over rails. */
  readonly exclude?: readonly string[];
  readonly weights?: "speed" | "equal";
  /** Whether pods of other nodes are reached over rails, too. */
  readonly podCIDRs?: boolean;
}

/** How pods have the rails; absent: networks are written by hand. The definition gives defaults to what is absent here. */
export interface PodsSpec {
  readonly namespaces: LabelSelector;
  readonly interface?: string;
  readonly sameIndex?: boolean;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly allow?: readonly string[];
}

/** metav1.LabelSelector; the empty one selects everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

/** What each rail of each node must have; what is absent is not looked at. */
export interface Expectations {
  readonly speedGbps?: number;
  /** Bytes: active MTU of the RDMA device, MTU of the PF. */
  readonly roceMtu?: number;
  readonly linkMtu?: number;
  readonly trust?: "dscp" | "pcp" | "dscp,pcp" | "pcp,dscp";
  /** Priorities, 0 to 7. */
  readonly pfc?: readonly number[];
  readonly ecn?: readonly number[];
  readonly firmware?: string;
}

/** One rail; the ConfigMap's fields, and what pods shall have on it. */
export interface NetworkRail {
  readonly name: string;
  readonly pf: Partial<PfSelector>;
  readonly vfs?: number;
  readonly rdma?: "exclusive" | "shared";
  readonly resource?: string;
  /** Bytes. */
  readonly mtu?: number;
  readonly subnet?: string;
  /** CIDRs and addresses of the subnet that no pod gets. */
  readonly exclude?: readonly string[];
}

export interface RailNetworkStatus {
  readonly summary: { readonly nodes: string; readonly vfs: string };
  readonly rails: readonly RailNetworkRailStatus[];
  readonly conditions: readonly NetworkCondition[];
}

/** One rail over all nodes that follow the network. */
export interface RailNetworkRailStatus {
  readonly name: string;
  /** Nodes that have it with carrier, of `nodes` that follow the network. */
  readonly ready: number;
  readonly nodes: number;
  readonly vfs: number;
  readonly used: number;
  /** Nodes whose pods have some, a few of them by name; absent when there is none. */
  readonly users?: string;
  /** Addresses that pods can get; absent without a subnet, and for one beyond counting (IPv6). */
  readonly addresses?: number;
  readonly addressesUsed?: number;
  readonly addressesLeft?: number;
}

/** metav1.Condition. */
export interface NetworkCondition {
  readonly type: "Ready" | "AddressesSuffice" | "NetworksMade";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

/** What a condition says, without the times. */
export type NetworkVerdict = Pick<NetworkCondition, "type" | "status" | "reason" | "message">;
