import t from "tap";
import { Cluster } from "./support/cluster.ts";
import { applyFixedNads, fixedNetworks, fourRails } from "./support/four-rails.ts";
import { Multus } from "./support/multus.ts";
import { Railnet } from "./support/railnet.ts";

const cluster = await Cluster.start();
t.teardown(() => cluster.stop());
t.setTimeout(300_000);
await Multus.start(cluster, "thin");
await Railnet.install(cluster);
await applyFixedNads(cluster, 2);

t.test("pods get the VFs that their networks name, reach each other, and leave nothing", (t) =>
  fourRails(t, cluster, (pod) => fixedNetworks(cluster, pod)),
);
