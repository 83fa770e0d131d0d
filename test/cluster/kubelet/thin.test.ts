import t from "tap";
import { askedAddresses } from "../../../lab/kubelet/asked.ts";
import { Cluster } from "../../../lab/kubelet/cluster.ts";
import { applyFixedNads, fixedNetworks, fourRails } from "../../../lab/kubelet/four-rails.ts";
import { Multus } from "../../../lab/kubelet/multus.ts";
import { Railnet } from "../../../lab/kubelet/railnet.ts";
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

t.test("a pod gets the addresses that it asks for, through Multus thin", (t) => askedAddresses(t, cluster));

t.test("bench/rdma between two pods:", (t) => rdmaTests(t, cluster));
