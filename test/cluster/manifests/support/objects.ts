import type { Json } from "../../../../lab/cluster/raw.ts";
import { nodeOf } from "../../../daemonset/rail-node/support/rail-nodes.ts";

// Objects of a cluster of two nodes, from where the thief of node-a's credentials stands.

export const [MINE, OTHER] = ["node-a", "node-b"] as const;

export const whereabouts = (kind: string, name: string, rest: Json, metadata: Json = {}): Json => ({
  apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
  kind,
  metadata: { name, namespace: "kube-system", ...metadata },
  ...rest,
});
export const reservation = (name: string, node: string | undefined, podref = `default/of-${node}`): Json =>
  whereabouts(
    "OverlappingRangeIPReservation",
    name,
    { spec: { podref, ifname: "net1", containerid: "c" } },
    node === undefined ? {} : { labels: { "railnet.io/node": node } },
  );
export const lease = (name: string, holderIdentity: string): Json => ({
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { name, namespace: "kube-system" },
  spec: { holderIdentity, leaseDurationSeconds: 30 },
});
const configMap = (name: string, data: object): Json => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "kube-system" },
  data,
});
export const event = (name: string, host: string): Json => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name, namespace: "default" },
  involvedObject: { kind: "Pod", namespace: "default", name: "x" },
  reason: "Test",
  message: `of ${host}`,
  type: "Normal",
  source: { component: "railnet", host },
});

export const railNode = (name: string, owner = name): Json => ({
  apiVersion: "railnet.io/v1alpha1",
  kind: "RailNode",
  metadata: { name, ownerReferences: [{ apiVersion: "v1", kind: "Node", name: owner, uid: "u" }] },
  status: { ...nodeOf(1).status },
});

export const railNetwork: Json = {
  apiVersion: "railnet.io/v1alpha1",
  kind: "RailNetwork",
  metadata: { name: "ishikari" },
  spec: { rails: [{ name: "rail0", pf: { names: ["ens1"] } }] },
};
export const NAD_CONFIG = { cniVersion: "1.0.0", name: "ishikari-rail0", type: "railnet-sriov", network: "ishikari", rail: "rail0" }; // biome-ignore format: one row
export const nad = (name: string, config: object, marks = true): Json => ({
  apiVersion: "k8s.cni.cncf.io/v1",
  kind: "NetworkAttachmentDefinition",
  metadata: {
    name,
    namespace: "default",
    ...(marks && { labels: { "app.kubernetes.io/managed-by": "railnet" }, annotations: { "railnet.io/made-for": `default/${name}` } }), // biome-ignore format: one row
  },
  spec: { config: JSON.stringify(config) },
});
/** What is not node-a's. */
export const foreign: readonly Json[] = [
  reservation("10.0.0.2", OTHER),
  reservation("10.0.0.3", undefined),
  whereabouts(
    "IPPool",
    "10.0.0.0-24",
    { spec: { range: "10.0.0.0/24", allocations: { 2: { id: "c", podref: "default/of-node-b", ifname: "net1" } } } },
    { annotations: { "railnet.io/adopted": "true" } },
  ),
  whereabouts("NodeSlicePool", "rail0", {
    spec: { range: "10.8.0.0/16", sliceSize: "/24" },
    status: {
      allocations: [
        { nodeName: OTHER, sliceRange: "10.8.0.0/24" },
        { nodeName: "", sliceRange: "10.8.1.0/24" },
      ],
    },
  }),
  lease("kube-controller-manager", "control-plane_1"),
  lease("railnet-leader", `${OTHER}_1`),
  lease(`railnet-node-${OTHER}`, OTHER),
  configMap("other", { key: "value" }),
  configMap("railnet-config", { rails: "[]", whereabouts: "absent" }),
  event("other", OTHER),
  railNode(OTHER),
  railNetwork,
  nad("theirs", { type: "macvlan" }, false),
  nad("ishikari-rail1", NAD_CONFIG),
];
/** Objects that would be new: what somebody else would be taken for by. */
export const forged: readonly Json[] = [
  reservation("10.0.0.9", OTHER),
  reservation("10.0.0.10", undefined),
  {
    ...reservation("10.0.0.11", MINE),
    metadata: { ...reservation("10.0.0.11", MINE).metadata, annotations: { "railnet.io/node": OTHER } },
  },
  whereabouts("IPPool", "10.9.0.0-24", {
    spec: { range: "10.9.0.0/24", allocations: { 1: { id: "x", podref: "a/b" } } },
  }),
  whereabouts("NodeSlicePool", "rail9", {
    spec: { range: "10.8.0.0/16", sliceSize: "/24" },
    status: { allocations: [{ nodeName: OTHER, sliceRange: "10.8.0.0/24" }] },
  }),
  lease("kube-scheduler", "x"),
  lease("railnet-node-node-c", "node-c"),
  configMap("coredns", { Corefile: "mine" }),
  event("forged", OTHER),
  nad("ishikari-rail0", NAD_CONFIG),
  railNode("node-c"),
  railNode(MINE, OTHER),
  { ...railNode(MINE), metadata: { name: MINE, finalizers: ["railnet.io/mine"] } },
];
