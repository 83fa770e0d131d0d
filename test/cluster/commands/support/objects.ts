import type { Json, RawClient } from "../../../../lab/cluster/raw.ts";

const API_VERSION = "whereabouts.cni.cncf.io/v1alpha1";
export const OBJECTS = `/apis/${API_VERSION}/namespaces/kube-system`;

/** Records by key: podref, interface (default net1) and container ID (default `c-` and the pod's name). */
export type Records = Record<string, { podref: string; ifname?: string; id?: string }>;

export async function makePool(
  raw: RawClient,
  name: string,
  range: string,
  records: Records = {},
  adopted = false,
): Promise<Json> {
  const allocations = Object.fromEntries(
    Object.entries(records).map(([key, { podref, ifname = "net1", id = `c-${podref.split("/")[1]}` }]) => [
      key,
      { id, podref, ...(ifname && { ifname }) },
    ]),
  );
  const metadata = {
    name,
    namespace: "kube-system",
    ...(adopted && { annotations: { "railnet.io/adopted": "2026-01-01T00:00:00Z" } }),
  };
  return raw.post(`${OBJECTS}/ippools`, {
    apiVersion: API_VERSION,
    kind: "IPPool",
    metadata,
    spec: { range, allocations },
  });
}

/** A reservation as Whereabouts writes one; with a pool as Railnet does. */
export async function makeReservation(
  raw: RawClient,
  name: string,
  owner: { podref: string; ifname?: string; containerid?: string },
  ours?: { pool: string; network?: string; node?: string; podUid?: string },
): Promise<Json> {
  const { pool, network = "", node, podUid } = ours ?? {};
  const labels = ours && {
    "railnet.io/network": network,
    "railnet.io/pool": pool,
    ...(podUid && { "railnet.io/pod-uid": podUid }),
  };
  const annotations = ours && { "railnet.io/pool": pool, ...(node && { "railnet.io/node": node }) };
  return raw.post(`${OBJECTS}/overlappingrangeipreservations`, {
    apiVersion: API_VERSION,
    kind: "OverlappingRangeIPReservation",
    metadata: { name, namespace: "kube-system", ...(labels && { labels, annotations }) },
    spec: {
      ifname: "net1",
      ...owner,
      ...(ours && { containerid: owner.containerid ?? `c-${owner.podref.split("/")[1]}` }),
    },
  });
}

export const reservationNames = async (raw: RawClient): Promise<string[]> =>
  (await raw.list(`${OBJECTS}/overlappingrangeipreservations`)).map(({ metadata }) => metadata.name).sort();

export const recordsOf = async (raw: RawClient, pool: string): Promise<Json> =>
  (await raw.get(`${OBJECTS}/ippools/${pool}`)).spec.allocations ?? {};

/** Multus' annotation: the default network's address, then those of others. */
export const networkStatus = (...addresses: (readonly [ifname: string, ip: string])[]): Record<string, string> => ({
  "k8s.v1.cni.cncf.io/network-status": JSON.stringify([
    { name: "cluster", interface: "eth0", ips: ["10.244.0.5"], default: true },
    ...addresses.map(([ifname, ip]) => ({ name: "default/rail", interface: ifname, ips: [ip] })),
  ]),
});

export const setMode = async (raw: RawClient, whereabouts: "absent" | "coexist"): Promise<Json> =>
  raw.apply({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "railnet-config", namespace: "kube-system" },
    data: { whereabouts },
  });
