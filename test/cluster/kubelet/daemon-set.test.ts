import t from "tap";
import { Cluster } from "../../../lab/kubelet/cluster.ts";
import { RailnetDaemonSet } from "../../../lab/kubelet/daemon-set.ts";
import { applyFixedNads, fixedNetworks, fourRails } from "../../../lab/kubelet/four-rails.ts";
import { Multus } from "../../../lab/kubelet/multus.ts";
import { becomes, look } from "../../../lab/kubelet/state.ts";

const cluster = await Cluster.start();
t.teardown(() => cluster.stop());
t.setTimeout(600_000);
const { pods } = cluster;
await Multus.start(cluster, "pod");
const railnet = await RailnetDaemonSet.install(cluster);
await applyFixedNads(cluster, 2);

t.test("kubectl apply on a bare node, Multus in a pod: pods get four rails and leave nothing", (t) =>
  fourRails(t, cluster, (pod) => fixedNetworks(cluster, pod)),
);

// Multus runs it with 50 MiB, a tenth of a processor, and without a working directory.
t.test(
  "without an agent the executable on the node does the same, by the kubeconfig that the agent left",
  async (t) => {
    const before = await look(cluster);
    await railnet.delete();
    await pods.start("alone", { networks: fixedNetworks(cluster, 0) });
    t.equal((await look(cluster)).reservations.length, 4, "its addresses are the cluster's");
    await pods.remove("alone");
    await railnet.apply();
    await becomes(t, cluster, before);
  },
);
