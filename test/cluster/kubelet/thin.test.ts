import t from "tap";
import { askedAddresses } from "../../../lab/kubelet/asked.ts";
import { Cluster } from "../../../lab/kubelet/cluster.ts";
import { applyFixedNads, fixedNetworks, fourRails } from "../../../lab/kubelet/four-rails.ts";
import { Multus } from "../../../lab/kubelet/multus.ts";
import { applySetNad } from "../../../lab/kubelet/rail-nad.ts";
import { Railnet } from "../../../lab/kubelet/railnet.ts";
import { setOfRails } from "../../../lab/kubelet/set-of-rails.ts";
import { rdmaTests } from "./thin/rdma.ts";

const cluster = await Cluster.start();
t.teardown(() => cluster.stop());
t.setTimeout(900_000);
await Multus.start(cluster, "thin");
await Railnet.install(cluster);
await applyFixedNads(cluster, 2);

t.test("pods get the VFs that their networks name, reach each other, and leave nothing", (t) =>
  fourRails(t, cluster, (pod) => fixedNetworks(cluster, pod)),
);

t.test("pods are on all rails by one network, whose interface Multus names or the pod", async (t) => {
  const { api, rails } = cluster;
  const devices = (i: number) => rails.map(({ vfs }) => vfs[i]!.pci).join();
  for (const i of [0, 1])
    await applySetNad(
      api.raw,
      `set-${i}`,
      rails.map(({ name }) => name),
      { deviceID: devices(i) },
    );
  await setOfRails(t, cluster, { networkOf: (i) => (i === 0 ? "set-0" : "set-1@rail0") });
});

t.test("a pod gets the addresses that it asks for, through Multus thin", (t) => askedAddresses(t, cluster));

t.test("bench/rdma between two pods:", (t) => rdmaTests(t, cluster));
