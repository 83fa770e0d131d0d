import { ApiServer } from "../../../../lab/cluster/api-server.ts";
import { installAgent, installCrds } from "../../../../lab/cluster/install.ts";
import type { Json, RawClient } from "../../../../lab/cluster/raw.ts";

const OBJECTS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";
export const POOLS = `${OBJECTS}/ippools`;
export const RESERVATIONS = `${OBJECTS}/overlappingrangeipreservations`;
export const SETTINGS = "/api/v1/namespaces/kube-system/configmaps/railnet-config";

/** A cluster with the resources, the agent's account and, as the administrator made it, the settings. */
export async function startWorld(
  mode: "absent" | "coexist" | undefined,
): Promise<{ api: ApiServer; kubeconfig: string }> {
  const api = await ApiServer.start();
  await installCrds(api.raw);
  const token = await installAgent(api);
  if (mode) await setMode(api.raw, mode);
  return { api, kubeconfig: api.kubeconfig({ token }) };
}

export const setMode = (raw: RawClient, whereabouts: string): Promise<Json> =>
  raw.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "railnet-config" }, data: { whereabouts } });

/** `address podref ifname containerid` of every reservation of a network, from the raw objects. */
export async function reserved(raw: RawClient, network: string): Promise<string[]> {
  return (await raw.list(RESERVATIONS))
    .filter(({ metadata }) => metadata.name.startsWith(`${network}-`))
    .map(
      ({ metadata, spec }) =>
        `${metadata.name.slice(network.length + 1)} ${spec.podref} ${spec.ifname} ${spec.containerid}`,
    )
    .sort();
}

/** The same of every record of a pool whose key is a number; undefined when there is no such pool. IPv4 alone. */
export async function recorded(raw: RawClient, pool: string): Promise<string[] | undefined> {
  const { status, body } = await raw.request("GET", `${POOLS}/${pool}`);
  if (status === 404) return undefined;
  const base = toNumber(body.spec.range.split("/")[0]);
  return Object.entries<Json>(body.spec.allocations)
    .filter(([key]) => /^\d+$/.test(key))
    .map(([key, { id, podref, ifname }]) => `${toText(base + Number(key))} ${podref} ${ifname} ${id}`)
    .sort();
}

const toNumber = (ip: string): number => ip.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const toText = (value: number): string => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");

/** Numbers below `limit` that are the same for the same seed. */
export function dice(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
