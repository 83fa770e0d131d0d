import type { Test } from "tap";
import type { Json } from "../cluster/raw.ts";
import type { Cluster } from "./cluster.ts";
import { networkStatus } from "./pods.ts";

/** What a pod requests, with and without prefix length, both families. */
const ASKED = [
  ["10.201.0.77/24", "fd00:201::77"],
  ["10.201.0.78", "fd00:201:0:0::78/64"],
] as const;
const WANT = [
  ["10.201.0.77", "fd00:201::77"],
  ["10.201.0.78", "fd00:201::78"],
];

/**
 * Asserts that a pod gets the addresses that it requests by `ips` in Multus' annotation, which Multus passes on as
 * `runtimeConfig.ips` and as CNI_ARGS `IP`; for a network that is one plugin, and for one that is a list.
 */
export async function askedAddresses(t: Test, { api, pods, rails }: Cluster): Promise<void> {
  const [rail] = rails;
  const plugin = (vf: number): Json => ({
    type: "railnet-sriov",
    rail: rail!.name,
    deviceID: rail!.vfs[vf]!.pci,
    capabilities: { ips: true },
    ipam: {
      type: "railnet-ipam",
      network_name: "asked",
      ipRanges: [{ range: "10.201.0.0/24" }, { range: "fd00:201::/64" }],
    },
  });
  const head = { cniVersion: "1.0.0", name: "asked" };
  const configs = [
    { ...head, ...plugin(0) },
    { ...head, plugins: [plugin(1)] },
  ];
  for (const [i, config] of configs.entries())
    await api.raw.apply({
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { name: `asked-${i}`, namespace: "default" },
      spec: { config: JSON.stringify(config) },
    });
  const running = await Promise.all(
    ASKED.map((ips, i) => pods.start(`asked${i}`, { networks: [JSON.stringify([{ name: `asked-${i}`, ips }])] })),
  );
  t.same(
    running.map((pod) => networkStatus(pod)[0]?.ips),
    WANT,
  );
  await pods.remove("asked0", "asked1");
}
