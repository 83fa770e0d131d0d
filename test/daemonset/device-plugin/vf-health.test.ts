import t from "tap";
import { PF, PluginNode, RAIL0, RAIL1 } from "./support/plugin-node.ts";

t.test(
  "VFs are unhealthy when their PF has no carrier for the time of grace, and healthy at once when it has",
  async (t) => {
    const node = await PluginNode.start(t);
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
    node.log.take();
    node.tree.setCarrier("ens1", false);
    await node.look();
    node.nowMs += 29_999;
    await node.look();
    t.same(node.log.take(), [], "not yet");
    node.nowMs += 1;
    await node.lookUntil("the VFs of rail0 are unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 3);
    t.equal(node.kubelet.lists(RAIL0), 2, "nothing was said in between");
    t.equal(node.kubelet.by("Healthy", RAIL1).length, 3, "the other rail is well");
    t.same(
      node.log.lines.map(({ fields }) => fields),
      [
        {
          resource: RAIL0,
          rail: "rail0",
          unhealthy: { "PF ens1 (0000:a0:00.0) has no carrier: is it up? check cable and switch": 3 },
        },
      ],
    );
    node.log.take();
    node.tree.setCarrier("ens1", true);
    await node.lookUntil("they are healthy again", () => node.kubelet.by("Healthy", RAIL0).length === 3);
    t.same(node.log.take(), ["info all VFs of a rail are healthy"]);
  },
);

t.test("a VF without driver is unhealthy, one in a pod is not, wherever its link is", async (t) => {
  const node = await PluginNode.start(t);
  const [bare, inPod] = node.vfs as [string, string];
  node.tree.unbind(bare);
  node.tree.removeNetdev(inPod, node.tree.linkOf(inPod));
  node.attached.add(inPod);
  await node.look();
  node.nowMs += 30_000;
  await node.lookUntil("one is unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 1);
  t.same(node.kubelet.by("Unhealthy", RAIL0), [bare]);
  t.equal(node.kubelet.devices(RAIL0)[1]!.ID, inPod, "it keeps its place");
});

t.test(
  "a VF that is owed a part of its restoration is unhealthy at once, and healthy when it is settled",
  async (t) => {
    const node = await PluginNode.start(t);
    const [, owed] = node.vfs as [string, string];
    await node.lookUntil("rail0 is healthy", () => node.kubelet.by("Healthy", RAIL0).length === 3);
    node.owed.add(owed);
    await node.lookUntil("it is unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 1);
    t.same(node.kubelet.by("Unhealthy", RAIL0), [owed]);
    node.owed.clear();
    await node.lookUntil("all are healthy again", () => node.kubelet.by("Healthy", RAIL0).length === 3);
  },
);

t.test("a VF that vanished from under a pod stays in the list, unhealthy at once", async (t) => {
  const node = await PluginNode.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const [, , lost] = node.vfs as [string, string, string];
  node.attached.add(lost);
  node.tree.writeNumVfs(PF, 0);
  node.tree.writeNumVfs(PF, 2);
  await node.lookUntil("it is unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 1);
  t.same(node.kubelet.by("Unhealthy", RAIL0), [lost]);
  t.equal(node.kubelet.devices(RAIL0).length, 3);
  node.attached.clear();
  await node.lookUntil("it is gone when its pod is", () => node.kubelet.devices(RAIL0).length === 2);
});

t.test("where RDMA is needed and the PF has it, its port must be active and each VF have a device", async (t) => {
  const node = await PluginNode.start(t);
  const [first, second, third] = node.vfs as [string, string, string];
  node.tree.file(PF, "infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n");
  for (const [i, vf] of [first, second].entries())
    node.tree.file(vf, `infiniband_verbs/uverbs${i}/ibdev`, `mlx5_${i + 2}\n`);
  await node.look();
  node.nowMs += 30_000;
  await node.lookUntil("the one without is unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 1);
  t.same(node.kubelet.by("Unhealthy", RAIL0), [third]);
  node.tree.file(PF, "infiniband/mlx5_0/ports/1/state", "1: DOWN\n");
  await node.look();
  node.nowMs += 30_000;
  await node.lookUntil("all are unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 3);
});

t.test("rails that share a PF offer each its own VFs", async (t) => {
  const node = await PluginNode.start(t);
  node.rails = `
- { name: rail0, pf: { names: ["ens1#0,2"] } }
- { name: rail1, pf: { names: ["ens1#1"] }, resource: ${RAIL1} }`;
  await node.lookUntil("both are listed", () => node.kubelet.devices(RAIL1).length === 1);
  const listed = (resource: string) => node.kubelet.devices(resource).map(({ ID }) => ID);
  t.same(listed(RAIL1), [node.vfs[1]]);
  await node.lookUntil("rail0 is, too", () => node.kubelet.devices(RAIL0).length === 2);
  t.same(listed(RAIL0), [node.vfs[0], node.vfs[2]]);
});

t.test("a VF that the host uses, or that a driver for userspace has, is unhealthy", async (t) => {
  const node = await PluginNode.start(t);
  const [used, userspace] = node.vfs as [string, string];
  node.unfit[used] = "the host uses its link v0: it belongs to br0";
  node.tree.bind(userspace, "vfio-pci");
  await node.look();
  node.nowMs += 30_000;
  await node.lookUntil("both are unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 2);
  t.same(node.kubelet.by("Unhealthy", RAIL0), [used, userspace]);
});
