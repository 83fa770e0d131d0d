import t from "tap";
import { askedAddresses } from "./support/asked.ts";
import { Cluster } from "./support/cluster.ts";
import { applyFixedNads, fixedNetworks, fourRails } from "./support/four-rails.ts";
import { Multus } from "./support/multus.ts";
import { Railnet } from "./support/railnet.ts";
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
