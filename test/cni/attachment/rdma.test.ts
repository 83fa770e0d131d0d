import { fstatSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { promiseRdma } from "../../../cni/attachment/rdma-promise.ts";
import { pause } from "../../../lab/netns/run.ts";
import { DoubleNode } from "../drivers/support/node.ts";
import { PROFILES } from "../drivers/support/profiles.ts";
import { RdmaNode } from "./support/rdma-node.ts";

t.setTimeout(600_000); // on a busy machine

/** A node with four mlx5 VFs, each with its RDMA device, in exclusive mode. */
function nodeOf(t: Test, { devices = 4, namesPerNetns = true } = {}) {
  const node = new DoubleNode(PROFILES.mlx5, { vfs: 4 });
  t.teardown(() => node[Symbol.dispose]());
  const home = node.kernel.host.inode;
  const rdma = new RdmaNode(node.sysfs, namesPerNetns, { home, keyOf: (fd) => fstatSync(fd).ino });
  node.kernel.rdma = rdma;
  const all = Array.from({ length: devices }, (_, i) => rdma.add(node.vf(i).link.pci, `mlx5_${i + 2}`));
  const names = (pod?: ReturnType<typeof node.pod>) => rdma.list(pod?.namespace.inode ?? home).map(({ name }) => name);
  return { node, rdma, all, names };
}

const isHome = (t: Test, { node, all, names }: ReturnType<typeof nodeOf>) => {
  t.same(names().sort(), all.map(({ index }) => `mlx5_${index + 2}`).sort(), "every device is at home, by its name");
  t.ok(node.picture().isHome, "and so is the link");
};

for (const namesPerNetns of [true, false])
  t.test(`ADD and DEL move the RDMA device with its VF, names a namespace's: ${namesPerNetns}`, async (t) => {
    const world = nodeOf(t, { namesPerNetns });
    const { node, rdma, names } = world;
    const pod = node.pod();
    const result = await node.add(pod, { rdma: "required" });
    t.same(names(pod), ["mlx5_2"]);
    await node.check(pod, { rdma: "required" }, result);
    const [device] = rdma.list(pod.namespace.inode);
    rdma.rename(device!, "tenants");
    await node.check(pod, { rdma: "required" }, result);
    await node.del(pod, {});
    isHome(t, world);
  });

t.test("ADD does not give a pod whose uverbs another VF has by then, however often it tries", async (t) => {
  const world = nodeOf(t);
  const { node, rdma, all } = world;
  rdma.remove(all.shift()!); // of another PF, say: uverbs0 is free, and the next move takes it
  const pod = node.pod();
  for (let i = 0; i < 3; i++) {
    await t.rejects(node.add(pod, {}, 1), {
      code: 11,
      msg: /was given uverbs1 with VF .*now calls uverbs0: delete the pod/,
    });
    isHome(t, world);
  }
  const other = node.pod(); // its successor, for which the kubelet allocates anew
  await node.add(other, {}, 1);
  await node.del(other, {}, 1);
  isHome(t, world);
});

t.test("ADD compares with what the device plugin has allocated, also when nothing changes at the move", async (t) => {
  const world = nodeOf(t);
  const { node, all } = world;
  const { pci } = node.vf(1).link;
  const runDir = join(node.dir, "run");
  promiseRdma(runDir, pci, ["uverbs1"]);
  const pod = node.pod();
  await node.add(pod, {}, 1);
  await node.del(pod, {}, 1);
  await node.add(pod, {}, 1); // the sandbox is made anew, with what was allocated to the pod
  await node.del(pod, {}, 1);
  promiseRdma(runDir, pci, ["uverbs3"]); // what another VF has by now
  await t.rejects(node.add(node.pod(), {}, 1), { code: 11, msg: /was given uverbs3/ });
  isHome(t, world);
  t.equal(all[1]!.uverbs, 1, "without gaps the kernel gives back the number that it took");
});

t.test("a VF whose devices appeared later is compared from then on, also for the same pod", async (t) => {
  const { node, rdma } = nodeOf(t, { devices: 0 });
  const pod = node.pod();
  await node.add(pod, {});
  await node.del(pod, {});
  const gap = rdma.add(node.vf(1).link.pci, "mlx5_1");
  rdma.add(node.vf(0).link.pci, "mlx5_2");
  rdma.remove(gap);
  await t.rejects(node.add(pod, {}), { code: 11, msg: /was given uverbs1/ });
});

/** Health recovery of mlx5: link and RDMA device go, and others come in the host's namespace. */
function recover({ node, rdma, all }: ReturnType<typeof nodeOf>, { link = true } = {}) {
  if (link) node.kernel.remake(node.vf(1), "eth7", "02:77:00:00:00:07");
  rdma.remove(all[1]!);
  all[1] = rdma.add(node.vf(1).link.pci, "mlx5_9");
}

t.test("a pod has link and RDMA device again that the driver made anew", async (t) => {
  const world = nodeOf(t);
  const { node, names } = world;
  const pod = node.pod();
  const result = await node.add(pod, { rdma: "required" }, 1);
  recover(world);
  const [repair] = await node.reconcile();
  t.match(repair, { kind: "reattach", reason: "remade", error: undefined, but: undefined });
  t.same(names(pod), ["mlx5_9"]);
  await node.check(pod, { rdma: "required" }, result, 1);
  t.same(await node.reconcile(), []);
  await node.del(pod, {}, 1);
  t.same(names(), ["mlx5_2", "mlx5_4", "mlx5_5", "mlx5_9"]);
});

t.test(
  "a pod got its VF back also when the RDMA device's files got other numbers, which is said with what to do",
  async (t) => {
    const world = nodeOf(t);
    const { node, rdma, all, names } = world;
    const pod = node.pod();
    await node.add(pod, {}, 1);
    rdma.remove(all.shift()!); // uverbs0 is free: the device that comes anew gets it
    all.unshift(undefined as never);
    recover(world);
    const [repair] = await node.reconcile();
    t.match(repair, {
      kind: "reattach",
      error: undefined,
      but: /was given uverbs1 .* now calls uverbs0: delete the pod/,
    });
    t.same(names(pod), ["mlx5_9"]);
    t.notOk(node.picture(1).isHome, "the pod keeps its link");
    t.same(await node.reconcile(), [], "and that is said once");
    await node.del(pod, {}, 1);
    t.same([names(pod), node.picture(1).isHome], [[], true]);
  },
);

t.test("a pod has its RDMA device again that alone was made anew, or that a killed agent had not moved", async (t) => {
  const world = nodeOf(t);
  const { node, names } = world;
  const pod = node.pod();
  await node.add(pod, {}, 1);
  recover(world, { link: false });
  const [repair] = await node.reconcile();
  t.match(repair, { kind: "reattach", reason: "rdmaRemade", error: undefined, but: undefined });
  t.same(names(pod), ["mlx5_9"]);
  t.same(await node.reconcile(), []);
  const off = node.pod();
  await node.add(off, { rdma: "off" }, 2);
  t.same(await node.reconcile(), [], "one that wanted none is left alone");
});

t.test("ADD waits for an RDMA device that is not home, and goes without it under no circumstances", async (t) => {
  const { node, rdma, all, names } = nodeOf(t);
  const last = node.pod();
  rdma.move(all[0]!, last.namespace.inode); // its last pod's namespace has not died yet
  for (const mode of ["auto", "required"])
    await t.rejects(node.add(node.pod(), { rdma: mode }), { code: 104, msg: /is not in the host's network namespace/ });
  const off = node.pod();
  await node.add(off, { rdma: "off" });
  await node.del(off, {});
  rdma.die(last.namespace.inode);
  const pod = node.pod();
  await node.add(pod, {});
  t.same(names(pod), ["ibdev0"], "under whatever name it came back");
  await node.del(pod, {});
});

t.test("ADD takes an RDMA device along that udev renames meanwhile, and fails when it vanishes", async (t) => {
  const world = nodeOf(t);
  const { node, rdma, all, names } = world;
  node.onStep = (step) => step === "add-moved" && rdma.rename(all[0]!, "rocep1");
  const pod = node.pod();
  await node.add(pod, { rdma: "required" });
  t.same(names(pod), ["rocep1"]);
  node.onStep = () => {};
  await node.del(pod, {});
  isHome(t, world);
  node.onStep = (step) => step === "add-moved" && rdma.remove(all.shift()!);
  await t.rejects(node.add(node.pod(), {}), { code: 104, msg: /0 of the 1 RDMA devices of VF .* could be moved/ });
  isHome(t, world);
});

t.test("ADD and DEL move no RDMA device while somebody else holds the lock of the node's", async (t) => {
  const world = nodeOf(t);
  const { node, names } = world;
  const { Locks } = await import("../../../records/lock.ts"); // the double's
  const pod = node.pod();
  for (const [verb, before, here] of [
    ["ADD", "add-moved", "mlx5_2"],
    ["DEL", "del-locked", ""],
  ] as const) {
    const begun = Promise.withResolvers<void>();
    node.onStep = (step) => step === before && begun.resolve();
    const held = new Locks(join(node.dir, "run")).tryAcquire("rdma")!;
    const calling = verb === "ADD" ? node.add(pod, { rdma: "required" }) : node.del(pod, {});
    await begun.promise;
    for (let turns = 0; turns < 20; turns++) await pause(5);
    t.equal(names(pod).join(), verb === "ADD" ? "" : "mlx5_2", `${verb} waits`);
    held[Symbol.dispose]();
    await calling;
    t.equal(names(pod).join(), here, verb);
  }
  isHome(t, world);
});

t.test("ADDs at once give every pod the uverbs that its VF was promised", async (t) => {
  const world = nodeOf(t);
  const { node, rdma } = world;
  for (let round = 0; round < 5; round++) {
    const pods = [0, 1, 2, 3].map(() => node.pod());
    await Promise.all(pods.map((pod, i) => node.add(pod, {}, i)));
    t.same(
      pods.map(({ namespace }) => rdma.list(namespace.inode)[0]!.uverbs),
      [0, 1, 2, 3],
    );
    await Promise.all(pods.map((pod, i) => node.del(pod, {}, i)));
  }
  isHome(t, world);
});

t.test(
  "DEL ends though the RDMA device is in a namespace within the pod's; it is owed, and comes with the next look",
  async (t) => {
    const world = nodeOf(t);
    const { node, rdma, all } = world;
    const [pod, nested] = [node.pod(), node.pod()];
    await node.add(pod, {});
    rdma.move(all[0]!, nested.namespace.inode);
    await node.del(pod, {});
    rdma.die(nested.namespace.inode);
    node.removePod(pod);
    await node.reconcile();
    isHome(t, world);
  },
);
