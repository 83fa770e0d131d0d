import t from "tap";
import { Cluster } from "./support/cluster.ts";
import { RailnetDaemonSet } from "./support/daemon-set.ts";
import { applyFixedNads, fixedNetworks, fourRails } from "./support/four-rails.ts";
import { Multus } from "./support/multus.ts";

const cluster = await Cluster.start();
t.teardown(() => cluster.stop());
t.setTimeout(300_000);
await Multus.start(cluster, "pod");
await RailnetDaemonSet.apply(cluster);
await applyFixedNads(cluster, 2);

t.test("kubectl apply on a bare node, Multus in a pod: pods get four rails and leave nothing", (t) =>
  fourRails(t, cluster, (pod) => fixedNetworks(cluster, pod)),
);
