import type { Json } from "../../../../lab/cluster/raw.ts";

export const OBJECTS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";
export const RESERVATION_PATH = `${OBJECTS}/overlappingrangeipreservations`;

export const reservation = (name: string, labels: Record<string, string> = {}, podref = "team/pod"): Json => ({
  apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
  kind: "OverlappingRangeIPReservation",
  metadata: { name, labels },
  spec: { podref, ifname: "net1", containerid: "c1" },
});
