import type { KubeObject, Resource } from "../../kubernetes/cluster.ts";

/** manifests/crds/railnodes.yaml; cluster-scoped, named after the Node. */
export const RAIL_NODES: Resource = {
  group: "railnet.io",
  version: "v1alpha1",
  plural: "railnodes",
  kind: "RailNode",
  namespaced: false,
};

/** What a node really has, as its agent last saw it. Unknown values are absent. */
export interface RailNode extends KubeObject {
  readonly status?: RailNodeStatus;
}

export interface RailNodeStatus {
  readonly node: NodeFacts;
  /** Names of the RailNetworks that this node follows; none: the ConfigMap. */
  readonly networks: readonly string[];
  readonly rails: readonly RailReport[];
  readonly absent: readonly { readonly rail: string; readonly why: string }[];
  readonly summary: { readonly rails: string; readonly vfs: string };
  /** The most recent ones, newest last. */
  readonly repairs: readonly { readonly at: string; readonly what: string; readonly message: string }[];
  /** `RailsReady`, which the node's agent writes, then `Drift`, which the leader writes. */
  readonly conditions: readonly [ready: Condition, drift: Condition];
}

export interface NodeFacts {
  /** Release, as uname(1) -r. */
  readonly kernel: string;
  readonly rdmaMode?: "shared" | "exclusive";
  readonly agent: string;
  readonly containerd?: string;
  readonly kubelet?: string;
  /** Thin or thick, from the executables on the node, and its version if it reports one. */
  readonly multus?: string;
}

export interface RailReport {
  readonly name: string;
  readonly pf: string;
  readonly pci: string;
  /** Vendor and device, `15b3:1021`. */
  readonly model?: string;
  readonly driver?: string;
  readonly firmware?: string;
  readonly mac?: string;
  readonly addresses?: readonly string[];
  /** Bytes. */
  readonly mtu?: number;
  /** Mb/s; absent without carrier. */
  readonly speed?: number;
  readonly pcie?: {
    readonly speed: string;
    readonly width: number;
    readonly maxSpeed: string;
    readonly maxWidth: number;
  };
  readonly pcieRoot?: string;
  readonly numaNode?: number;
  readonly gpus?: readonly string[];
  readonly rdmaDevices?: readonly string[];
  readonly totalVfs: number;
  readonly qos?: { readonly trust?: string; readonly pfc?: string; readonly ecn?: string };
  /** Existing VFs; those in pods; those that are owed part of their restoration. */
  readonly vfs: number;
  readonly used: number;
  readonly owed: number;
  readonly carrier: boolean;
  /** How often it has lost or gained carrier since the link was created. */
  readonly carrierChanges: number;
  /** Whether most nodes that have the rail are reached by it; absent without routes between nodes. */
  readonly reaching?: boolean;
}

/** metav1.Condition. */
export interface Condition {
  readonly type: "RailsReady" | "Drift";
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  /** ISO 8601, whole seconds. */
  readonly lastTransitionTime: string;
}

/** Its place in the list. */
export const CONDITION = { RailsReady: 0, Drift: 1 } as const;

/** metav1.Time. */
export const toTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
