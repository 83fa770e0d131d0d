import { NOT_COMPARED, railsReady, toCondition } from "../../../../daemonset/rail-node/conditions.ts";
import type { RailNode, RailReport } from "../../../../daemonset/rail-node/object.ts";

/** One port of a node as many have it, `i` being the number of the rail and `n` that of the node. */
export const railOf = (i: number, n: number): RailReport => ({
  name: `rail${i}`,
  pf: `ens${i + 1}f0np0`,
  pci: `0000:${i + 1}8:00.0`,
  model: "15b3:1021",
  driver: "mlx5_core",
  firmware: "28.41.1000",
  mac: `a0:88:c2:00:${n.toString(16).padStart(2, "0")}:0${i}`,
  addresses: [`10.${i}.0.${n + 1}/16`],
  mtu: 9000,
  speed: 400_000,
  pcie: { speed: "32.0 GT/s PCIe", width: 16, maxSpeed: "32.0 GT/s PCIe", maxWidth: 16 },
  pcieRoot: `pci0000:${i + 1}5`,
  numaNode: i >> 1,
  gpus: [`0000:${i + 1}9:00.0`],
  rdmaDevices: [`mlx5_${i}`],
  totalVfs: 16,
  qos: { trust: "dscp", pfc: "3", ecn: "3" },
  vfs: 8,
  used: n % 9,
  owed: 0,
  carrier: true,
  carrierChanges: n,
});

/** A node with four rails that is like all others. */
export function nodeOf(n: number, networks: readonly string[] = []): RailNode {
  const rails = [0, 1, 2, 3].map((i) => railOf(i, n));
  const ready = railsReady({ rails, absent: [], networks, unusable: "", counts: [], mtus: new Map() });
  return {
    apiVersion: "railnet.io/v1alpha1",
    kind: "RailNode",
    metadata: { name: `server-${n}`, uid: `uid-${n}` },
    status: {
      node: { kernel: "6.8.0-60-generic", rdmaMode: "exclusive", agent: "0.1.0", containerd: "2.4.2", kubelet: "1.35.4", multus: "thick 4.3.0" }, // biome-ignore format: one row
      networks,
      rails,
      absent: [],
      summary: { rails: "4/4", vfs: `${4 * (n % 9)}/32` },
      repairs: [],
      conditions: [toCondition("RailsReady", ready, undefined, 0), toCondition("Drift", NOT_COMPARED, undefined, 0)],
    },
  };
}
