import type { Test } from "tap";
import type { RailPlace } from "./computer.ts";
import { linksOf, netnsOf, ping } from "./pod-network.ts";
import { networkStatus } from "./pods.ts";
import { becomes, look } from "./state.ts";

/** What a pod on one network of all rails asks for. */
export interface SetOptions {
  /** `rails@rail0`, or without the interface. */
  readonly networkOf: (pod: number) => string;
  readonly resources?: Readonly<Record<string, number>>;
}

/**
 * Runs two pods on one network of all rails each, asserts that Multus says of each rail what `ip` shows, and that they reach each
 * other rail by rail; deletes them, and asserts that the node and the API are as before.
 */
export async function setOfRails(
  t: Test,
  cluster: RailPlace,
  { networkOf, resources = {} }: SetOptions,
): Promise<void> {
  const { pods, rails, containerd, node } = cluster;
  const before = await look(cluster);
  const start = (i: number) => pods.start(`set${i}`, { networks: [networkOf(i)], resources });
  const running = await Promise.all([0, 1].map(start));
  const names = rails.map(({ name }) => name);
  for (const [i, pod] of running.entries()) {
    const netns = await netnsOf({ containerd }, pod.metadata.name);
    const links = (await linksOf(node, netns)).filter(({ ifname }) => names.includes(ifname));
    t.same(
      networkStatus(pod).map(({ interface: ifname, mac, mtu, ips }) => ({ ifname, mac, mtu, ips })),
      links.map(({ ifname, address, mtu, addr_info: [{ local }] }) => ({ ifname, mac: address, mtu, ips: [local] })),
      "network-status says of each rail what ip says",
    );
    t.same(
      links.map(({ ifname }) => ifname),
      names,
      "every rail, by its name",
    );
    t.notOk(
      networkStatus(pod).some((status) => status["device-info"]),
      "and no device, which would be one rail's for all",
    );
    const places = networkStatus(pod).map(({ ips }) => ips![0]!.split(".")[3]);
    t.equal(new Set(places).size, 1, "the same place in every range");
    for (const { interface: ifname, ips } of networkStatus(running[1 - i])) {
      const { exit, stdout } = await ping(node, netns, ifname, ips![0]!);
      t.equal(exit, 0, `set${i} reaches the other by ${ifname}`, { stdout });
    }
  }
  await pods.remove("set0", "set1");
  await becomes(t, cluster, before);
}
