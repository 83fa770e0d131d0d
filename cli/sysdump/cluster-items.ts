import type { RawApi } from "./api.ts";
import type { Item } from "./collect.ts";

/** Label by which the agents' pods are found. */
export const AGENTS = "app.kubernetes.io/name=railnet";

/** Railnet's objects on the API server. Secrets are not requested. */
export function clusterItems(api: RawApi, namespace: string): Item[] {
  const own = `namespaces/${namespace}`;
  const whereabouts = `/apis/whereabouts.cni.cncf.io/v1alpha1/${own}`;
  const lists: Record<string, string> = {
    nodes: "/api/v1/nodes",
    daemonsets: `/apis/apps/v1/${own}/daemonsets?labelSelector=${encodeURIComponent(AGENTS)}`,
    pods: `/api/v1/${own}/pods?labelSelector=${encodeURIComponent(AGENTS)}`,
    settings: `/api/v1/${own}/configmaps?fieldSelector=metadata.name%3Drailnet-config`,
    events: "/api/v1/events?fieldSelector=source%3Drailnet",
    "agent-events": `/api/v1/${own}/events`,
    networks: "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions",
    ippools: `${whereabouts}/ippools`,
    reservations: `${whereabouts}/overlappingrangeipreservations`,
    nodeslicepools: `${whereabouts}/nodeslicepools`,
    leases: `/apis/coordination.k8s.io/v1/${own}/leases`,
    roles: `/apis/rbac.authorization.k8s.io/v1/${own}/roles?labelSelector=${encodeURIComponent(AGENTS)}`,
    definitions:
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?fieldSelector=metadata.name%3Dippools.whereabouts.cni.cncf.io",
    policies: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
  };
  return [
    { path: "cluster/version.json", read: async (signal) => JSON.stringify(await api.get("/version", signal)) },
    ...Object.entries(lists).map(
      ([name, path]): Item => ({
        path: `cluster/${name}.json`,
        read: async (signal) => JSON.stringify(await api.list(path, signal)),
      }),
    ),
  ];
}
