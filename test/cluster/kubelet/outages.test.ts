import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Json } from "../../../lab/cluster/raw.ts";
import { askedAddresses } from "../../../lab/kubelet/asked.ts";
import { Cluster } from "../../../lab/kubelet/cluster.ts";
import { RailnetDaemonSet } from "../../../lab/kubelet/daemon-set.ts";
import { applyFixedNads, fixedNetworks, fourRails } from "../../../lab/kubelet/four-rails.ts";
import { Multus } from "../../../lab/kubelet/multus.ts";
import { becomes, look } from "../../../lab/kubelet/state.ts";
import { until } from "../../../lab/until.ts";

const VFS = 6;
const cluster = await Cluster.start({ vfs: VFS });
t.teardown(() => cluster.stop());
t.setTimeout(600_000);
const { api, containerd, kubelet, pods } = cluster;
const multus = await Multus.start(cluster, "process");
const railnet = await RailnetDaemonSet.install(cluster);
await applyFixedNads(cluster, VFS);
const create = (name: string, i: number) => pods.create(name, { networks: fixedNetworks(cluster, i).slice(0, 2) });
const start = async (name: string, i: number) => {
  await create(name, i);
  return pods.running(name);
};
/** Which container it is, and how often it was started again. */
const life = ({ status }: Json) =>
  status.containerStatuses.map(({ containerID, restartCount }: Json) => `${containerID} ${restartCount}`);

t.test("a pod gets the addresses that it asks for, through Multus' daemon", (t) => askedAddresses(t, cluster));

t.test("the API server is down for a minute while pods are created and deleted", async (t) => {
  const before = await look(cluster);
  const kept = await start("kept", 0);
  await Promise.all([start("old1", 1), start("old2", 2)]);
  await Promise.all([create("new3", 3), create("new4", 4), pods.delete("old1"), pods.delete("old2")]);
  await api.down("SIGKILL");
  await sleep(60_000);
  await api.startAgain();
  await Promise.all([pods.gone("old1"), pods.gone("old2"), pods.running("new3"), pods.running("new4")]);
  t.same(life(await pods.running("kept")), life(kept), "a pod that ran goes on");
  await pods.remove("kept", "new3", "new4");
  await becomes(t, cluster, before);
});

t.test("containerd and the kubelet are killed while pods are created", async (t) => {
  const before = await look(cluster);
  const kept = await start("kept", 0);
  await Promise.all([1, 2, 3, 4].map((i) => create(`new${i}`, i)));
  await until(
    "one of them is being attached",
    async () => (await look(cluster)).files.length > before.files.length + 4,
  );
  await Promise.all([kubelet.stop("SIGKILL"), containerd.stop("SIGKILL")]);
  await containerd.start();
  await kubelet.start();
  await cluster.ready();
  await Promise.all([1, 2, 3, 4].map((i) => pods.running(`new${i}`)));
  t.same(life(await pods.running("kept")), life(kept), "a pod that ran goes on");
  await pods.remove("kept", "new1", "new2", "new3", "new4");
  await becomes(t, cluster, before);
});

t.test("a network is deleted before its pods", async (t) => {
  const before = await look(cluster);
  await start("orphan", 0);
  for (const name of fixedNetworks(cluster, 0))
    await api.raw.delete(`/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions/${name}`);
  await pods.remove("orphan");
  await becomes(t, cluster, before);
  await applyFixedNads(cluster, 1);
});

t.test("the daemon of Multus is killed while it attaches", async (t) => {
  const before = await look(cluster);
  const all = [0, 1, 2, 3, 4, 5];
  await Promise.all(all.map((i) => create(`pod${i}`, i)));
  await until("one of them is being attached", async () => (await look(cluster)).files.length > before.files.length);
  await multus.stopDaemon("SIGKILL");
  await multus.startDaemon();
  await Promise.all(all.map((i) => pods.running(`pod${i}`)));
  await pods.remove(...all.map((i) => `pod${i}`));
  await becomes(t, cluster, before);
});

t.test("a DEL that Multus' shim swallows: the reconciler does it", async (t) => {
  const before = await look(cluster);
  await start("lost", 0);
  await multus.stopDaemon("SIGKILL");
  await pods.remove("lost");
  await becomes(t, cluster, before);
  const [agent] = await railnet.pods();
  t.notMatch(await railnet.log(agent.metadata.name), /"DEL","pod":"default\/lost"/, "no DEL came");
  await multus.startDaemon();
  await fourRails(t, cluster, (pod) => fixedNetworks(cluster, pod));
});
