import type { Json } from "../../lab/cluster/raw.ts";

/** `railnet`: shim and agent, addresses in process. `peer`: host-device, which executes the real Whereabouts. */
export type Contestant = "railnet" | "peer";

export const CONTESTANTS: readonly Contestant[] = ["railnet", "peer"];

/** What Multus executes. */
export const PLUGINS: Readonly<Record<Contestant, string>> = { railnet: "railnet-sriov", peer: "host-device" };

/**
 * The peer's objects live in a namespace of their own, its lease too: in Railnet's it would say that a Whereabouts gives
 * the same addresses out, and Railnet would leave mode `absent`.
 */
export const PEER_NAMESPACE = "whereabouts";
/** Its flat file, and the kubeconfig that it names. Not where Railnet looks for one. */
export const PEER_FILES = { flat: "/etc/cni/whereabouts.conf", kubeconfig: "/etc/cni/whereabouts.kubeconfig" } as const;

/** The network of a rail, for the pod that gets this VF of it. */
export function networkConfig(who: Contestant, rail: number, pci: string): Json {
  if (who === "railnet")
    return { type: PLUGINS.railnet, deviceID: pci, ipam: { type: "railnet-ipam", range: `10.200.${rail}.0/24` } };
  const ipam = { type: "whereabouts", range: `10.201.${rail}.0/24`, configuration_path: PEER_FILES.flat };
  return { type: PLUGINS.peer, pciBusID: pci, ipam };
}

export const networkName = (who: Contestant, rail: number, vf: number): string => `${who}-rail${rail}-${vf}`;
