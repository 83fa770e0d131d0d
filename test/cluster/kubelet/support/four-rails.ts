import type { Test } from "tap";
import type { Json } from "../../support/raw.ts";
import type { Cluster } from "./cluster.ts";
import { linksOf, ping } from "./pod-network.ts";
import { networkStatus } from "./pods.ts";
import { applyRailNad } from "./rail-nad.ts";
import { becomes, look } from "./state.ts";

/** Networks of the rails' VFs number `i`, named for the VF: for pods that no device plugin serves. */
export async function applyFixedNads({ api, rails }: Cluster, vfs: number): Promise<void> {
  for (const rail of rails)
    for (let i = 0; i < vfs; i++)
      await applyRailNad(api.raw, `${rail.name}-${i}`, rail.name, { deviceID: rail.vfs[i]!.pci });
}

export const fixedNetworks = ({ rails }: Cluster, i: number): string[] => rails.map(({ name }) => `${name}-${i}`);

/**
 * Runs two pods on four rails, compares what Multus says of them with what `ip` shows, pings rail by rail, deletes them,
 * and asserts that the node and the API are as before.
 */
export async function fourRails(
  t: Test,
  cluster: Cluster,
  networksOf: (pod: number) => string[],
  resources = {},
): Promise<void> {
  const { pods } = cluster;
  const before = await look(cluster);
  const running = await Promise.all([0, 1].map((i) => pods.start(`pod${i}`, { networks: networksOf(i), resources })));
  for (const [i, pod] of running.entries()) {
    const status = networkStatus(pod);
    t.same(
      status.map(({ name, interface: ifname }) => `${name} ${ifname}`),
      networksOf(i).map((name, n) => `default/${name} net${n + 1}`),
    );
    const links = await linksOf(cluster, `pod${i}`);
    const seen = ({ ifname, address, mtu, addr_info: [{ local }] }: Json) => ({ ifname, address, local, mtu });
    t.same(
      status.map(({ interface: ifname, mac, ips, mtu }) => ({ ifname, address: mac, local: ips![0], mtu })),
      links.filter(({ ifname }) => /^net/.test(ifname)).map(seen),
      "network-status says what ip says",
    );
  }
  for (const { interface: ifname, ips } of networkStatus(running[1]))
    t.equal((await ping(cluster, "pod0", ifname, ips![0]!)).exit, 0, `pod0 reaches pod1 by ${ifname}`);
  await pods.remove("pod0", "pod1");
  await becomes(t, cluster, before);
}
