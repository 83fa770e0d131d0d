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
/** Written by the leader; whoever may change a RailNetwork's rails has another right. */
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
  /** Unchecked; pods.ts reads it. */
  readonly pods?: PodsSpec;
  /** VFs of each rail that are offered as whole sets; the rest is offered singly. */
  readonly sets?: number;
  readonly expect?: Expectations;
  /** Rails that may be changed or removed although pods use them. */
  readonly changeInUse?: readonly string[];
  /** Unchecked; routes/wanted.ts reads it. */
  readonly nodes?: NodesSpec;
}

/** Traffic between nodes over the rails; absent: off. The definition supplies defaults for what is absent here. */
export interface NodesSpec {
  readonly routes?: boolean;
  readonly controlPlanes?: boolean;
  /** Addresses and CIDRs of nodes that are not reached over rails. */
  readonly exclude?: readonly string[];
  readonly weights?: "speed" | "equal";
  /** Whether pods of other nodes are reached over rails, too. */
  readonly podCIDRs?: boolean;
}

/** How pods get the rails; absent: networks are written by hand. The definition supplies defaults for what is absent here. */
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

/** What each rail of each node must have; absent fields are not checked. */
export interface Expectations {
  readonly speedGbps?: number;
  /** Bytes: active MTU of the RDMA device, MTU of the PF. */
  readonly roceMtu?: number;
  readonly linkMtu?: number;
  /** Of RoCE packets, IP's TOS byte: told to pods, compared with nothing. */
  readonly trafficClass?: number;
  readonly trust?: "dscp" | "pcp" | "dscp,pcp" | "pcp,dscp";
  /** Priorities, 0 to 7. */
  readonly pfc?: readonly number[];
  readonly ecn?: readonly number[];
  readonly firmware?: string;
}

/** One rail; the ConfigMap's fields, and what pods get on it. */
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
  /** Nodes whose pods have some, a few of them by name; absent if there is none. */
  readonly users?: string;
  /** Addresses available to pods; absent without a subnet, and for one beyond counting (IPv6). */
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
