import type { Test } from "tap";
import type { Json } from "../cluster/raw.ts";
import type { Cluster } from "./cluster.ts";
import type { Place, RailPlace } from "./computer.ts";
import { linksOf, netnsOf, ping } from "./pod-network.ts";
import { networkStatus } from "./pods.ts";
import { applyRailNad } from "./rail-nad.ts";
import { becomes, look } from "./state.ts";

/** Networks of the rails' VFs number `i`, named after the VF: for pods that no device plugin serves. */
export async function applyFixedNads({ api, rails }: Cluster, vfs: number): Promise<void> {
  for (const rail of rails)
    for (let i = 0; i < vfs; i++)
      await applyRailNad(api.raw, `${rail.name}-${i}`, rail.name, { deviceID: rail.vfs[i]!.pci });
}

export const fixedNetworks = ({ rails }: Cluster, i: number): string[] => rails.map(({ name }) => `${name}-${i}`);

/**
 * Asserts that what Multus reports for running pods is what `ip` shows in them, and that each reaches the next one rail by
 * rail.
 *
 * @returns what `ip -j -d addr` shows of the rails in each pod.
 */
export async function checkRails(
  t: Test,
  { containerd, node }: Place,
  running: readonly Json[],
  networksOf: (pod: number) => string[],
): Promise<Json[][]> {
  const netns = await Promise.all(running.map(({ metadata }) => netnsOf({ containerd }, metadata.name)));
  const links = await Promise.all(netns.map(async (pod) => (await linksOf(node, pod)).filter(isRail)));
  for (const [i, pod] of running.entries()) {
    const status = networkStatus(pod);
    t.same(
      status.map(({ name, interface: ifname }) => `${name} ${ifname}`),
      networksOf(i).map((name, n) => `default/${name} net${n + 1}`),
    );
    const seen = ({ ifname, address, mtu, addr_info: [{ local }] }: Json) => ({ ifname, address, local, mtu });
    t.same(
      status.map(({ interface: ifname, mac, ips, mtu }) => ({ ifname, address: mac, local: ips![0], mtu })),
      links[i]!.map(seen),
      "network-status says what ip says",
    );
    const next = running[(i + 1) % running.length];
    for (const { interface: ifname, ips } of networkStatus(next)) {
      const { exit, stdout } = await ping(node, netns[i]!, ifname, ips![0]!);
      t.equal(exit, 0, `${pod.metadata.name} reaches ${next.metadata.name} by ${ifname}`, { stdout });
    }
  }
  return links;
}

const isRail = ({ ifname }: Json): boolean => /^net/.test(ifname);

/** Runs two pods on four rails, checks them, deletes them, and asserts that the node and the API are as before. */
export async function fourRails(
  t: Test,
  cluster: RailPlace,
  networksOf: (pod: number) => string[],
  resources = {},
): Promise<void> {
  const { pods } = cluster;
  const before = await look(cluster);
  const running = await Promise.all([0, 1].map((i) => pods.start(`pod${i}`, { networks: networksOf(i), resources })));
  await checkRails(t, cluster, running, networksOf);
  await pods.remove("pod0", "pod1");
  await becomes(t, cluster, before);
}
