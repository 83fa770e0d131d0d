import t from "tap";
import type { Json } from "../support/raw.ts";
import { Cluster } from "./support/cluster.ts";
import { Multus } from "./support/multus.ts";
import { linksOf, ping } from "./support/pod-network.ts";
import { networkStatus } from "./support/pods.ts";
import { applyRailNad } from "./support/rail-nad.ts";
import { Railnet } from "./support/railnet.ts";
import { becomes, look } from "./support/state.ts";

const cluster = await Cluster.start();
t.teardown(() => cluster.stop());
t.setTimeout(300_000);
const { api, pods, rails } = cluster;
await Multus.start(cluster, "thin");
await Railnet.install(cluster);

t.test("pods get the VFs that their networks name, reach each other, and leave nothing", async (t) => {
  for (const { name, vfs } of rails)
    for (const i of [0, 1]) await applyRailNad(api.raw, `${name}-${i}`, name, { deviceID: vfs[i]!.pci });
  const before = await look(cluster);
  const networksOf = (i: number) => rails.map(({ name }) => `${name}-${i}`);
  const running = await Promise.all([0, 1].map((i) => pods.start(`pod${i}`, { networks: networksOf(i) })));

  for (const [i, pod] of running.entries()) {
    const status = networkStatus(pod);
    t.same(
      status.map(({ name, interface: ifname }) => `${name} ${ifname}`),
      networksOf(i).map((name, n) => `default/${name} net${n + 1}`),
    );
    const links = await linksOf(cluster, `pod${i}`);
    const seen = ({ ifname, address, addr_info: [{ local }] }: Json) => ({ ifname, address, local });
    t.same(
      status.map(({ interface: ifname, mac, ips }) => ({ ifname, address: mac, local: ips![0] })),
      links.filter(({ ifname }) => /^net/.test(ifname)).map(seen),
      "network-status says what ip says",
    );
  }
  for (const { interface: ifname, ips } of networkStatus(running[1]))
    t.equal((await ping(cluster, "pod0", ifname, ips![0]!)).exit, 0, `pod0 reaches pod1 by ${ifname}`);

  await pods.remove("pod0", "pod1");
  await becomes(t, cluster, before);
});
