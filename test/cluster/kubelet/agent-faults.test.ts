import { join } from "node:path";
import t from "tap";
import { Cluster } from "../../../lab/kubelet/cluster.ts";
import { RailnetDaemonSet } from "../../../lab/kubelet/daemon-set.ts";
import { applyFixedNads, fixedNetworks, fourRails } from "../../../lab/kubelet/four-rails.ts";
import { makeImage } from "../../../lab/kubelet/image.ts";
import { Multus } from "../../../lab/kubelet/multus.ts";
import { networkStatus } from "../../../lab/kubelet/pods.ts";
import { becomes, KILLED_SETTLE_MS, look } from "../../../lab/kubelet/state.ts";
import { until } from "../../../lab/until.ts";

/** Of each rail. */
const VFS = 8;
const cluster = await Cluster.start({ vfs: VFS });
t.teardown(() => cluster.stop());
t.setTimeout(1_200_000);
const { containerd, node, pods } = cluster;
// A disk of its own for the journal, so that it can be full.
await node.exec(["mount", "-t", "tmpfs", "-m", "-o", "size=1m", "tmpfs", "/var/lib/railnet"]);
await Multus.start(cluster, "process");
const railnet = await RailnetDaemonSet.install(cluster);
await applyFixedNads(cluster, VFS);
const names = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `burst${from + i}`);
/** Pod i has a VF of rail i % 4. */
const create = (name: string) => {
  const i = Number(name.replace("burst", ""));
  return pods.create(name, { networks: [fixedNetworks(cluster, i >> 2)[i & 3]!] });
};
/** Failed attempts of a pod, as its user reads them. */
const failures = async (name: string) =>
  (await pods.events(name)).filter((event) => /^FailedCreatePodSandBox/.test(event));

t.test("30 pods are created while the agent is upgraded and while it is killed: all run, all goes back", async (t) => {
  const before = await look(cluster);
  const [upgraded, killed] = [names(0, 15), names(15, 30)];
  const old = await railnet.pods();
  await Promise.all(upgraded.map(create));
  await railnet.restart();
  const { metadata } = await railnet.newPod(old);
  await Promise.all(upgraded.map((name) => pods.running(name)));
  await railnet.rolledOut();
  t.same((await Promise.all(upgraded.map(failures))).flat(), [], "an upgrade fails no ADD");
  t.match(await railnet.log(metadata.name), /another agent runs on this node: waiting for it to end/);

  await Promise.all(killed.map(create));
  await until("some of them are attached", async () => (await look(cluster)).files.length > 2 * upgraded.length);
  await railnet.killAgent();
  const running = await Promise.all([...upgraded, ...killed].map((name) => pods.running(name)));
  const addresses = running.flatMap((pod) => networkStatus(pod).map(({ name, ips }) => `${name.slice(0, -2)} ${ips}`));
  t.equal(new Set(addresses).size, 30, "every pod has an address that no other has");

  await pods.remove(...upgraded, ...killed);
  await becomes(t, cluster, before, KILLED_SETTLE_MS);
});

t.test("an image for another processor: the agent that runs goes on, and the upgrade can be taken back", async (t) => {
  const foreign = join(import.meta.dirname, "../../../dist/railnet-shim-aarch64");
  await containerd.load(makeImage(node.folder, "railnet.io/railnet:foreign", { "/pause": foreign }));
  const old = await railnet.pods();
  await railnet.kubectl("set", "image", "-n=kube-system", "daemonset/railnet", "agent=railnet.io/railnet:foreign");
  const { metadata } = await railnet.newPod(old);
  const state = async () => {
    const pod = (await railnet.pods()).find(({ metadata: { name } }) => name === metadata.name);
    return JSON.stringify(pod?.status.containerStatuses?.[0]);
  };
  await until("the new pod fails", async () => /exec format error|"exitCode":[1-9]/.test(await state()), {
    everyMs: 200,
  });
  await fourRails(t, cluster, (pod) => fixedNetworks(cluster, pod));
  await railnet.kubectl("rollout", "undo", "-n=kube-system", "daemonset/railnet");
  await railnet.rolledOut();
});

t.test("a full disk: ADD fails and says so, DEL works, pods come up by themselves when there is space", async (t) => {
  const before = await look(cluster);
  await pods.start("there", { networks: fixedNetworks(cluster, 0) });
  await node.run(["dd", "if=/dev/zero", "of=/var/lib/railnet/filler", "bs=4k"]);
  await pods.create("waits", { networks: fixedNetworks(cluster, 1) });
  await until("ADD fails", async () => (await failures("waits")).length > 0, { everyMs: 200 });
  t.match(await failures("waits"), [/no space left|ENOSPC/i], "the runtime's event names the reason");
  const ours = async () => (await pods.events("waits")).find((event) => event.startsWith("FailedRailAttach"));
  await until("the agent says it, too", async () => (await ours()) !== undefined, { everyMs: 200 });
  t.match(await ours(), /no space left|ENOSPC/i);
  await pods.remove("there");
  await node.exec(["rm", "/var/lib/railnet/filler"]);
  await pods.running("waits");
  await pods.remove("waits");
  await becomes(t, cluster, before);
});
