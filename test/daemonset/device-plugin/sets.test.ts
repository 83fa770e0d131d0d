import { readdirSync } from "node:fs";
import t from "tap";
import { PluginNode, RAIL0, RAIL1 } from "./support/plugin-node.ts";

const SETS = "railnet.io/rails";
const OTHER_PF = "0000:b0:00.0";
const set = (i: number): string => `0000:a0:02.${i},0000:b0:02.${i}`;

async function withSets(t: Parameters<typeof PluginNode.start>[0], count = 2): Promise<PluginNode> {
  const node = await PluginNode.start(t);
  node.sets = { count, rails: ["rail0", "rail1"], inSets: new Set() };
  await node.lookUntil("sets are listed", () => node.kubelet.devices(SETS).length === Math.min(count, 3));
  return node;
}
const ids = (node: PluginNode, resource: string): string[] => node.kubelet.devices(resource).map(({ ID }) => ID);

t.test("a set is one VF of each rail, and no VF is offered in two ways", async (t) => {
  const node = await withSets(t);
  t.same(
    node.kubelet.devices(SETS),
    [set(0), set(1)].map((ID) => ({ ID, health: "Healthy", topology: null })),
    "of two memory nodes",
  );
  t.same([ids(node, RAIL0), ids(node, RAIL1)], [["0000:a0:02.2"], ["0000:b0:02.2"]]);
  node.sets = { ...node.sets, count: 8 };
  await node.lookUntil("as many as there are VFs", () => node.kubelet.devices(SETS).length === 3);
  await node.lookUntil("none singly", () => ids(node, RAIL0).length + ids(node, RAIL1).length === 0);
  node.sets = { ...node.sets, count: 0 };
  await node.lookUntil("all singly", () => ids(node, RAIL0).length === 3 && ids(node, RAIL1).length === 3);
  t.notOk(node.kubelet.resources.includes(SETS));
});

t.test("Allocate of a set gives what is all VFs' together, and tells Multus of no device by its name", async (t) => {
  const node = await withSets(t);
  const [a, b] = set(1).split(",") as [string, string];
  node.tree.file(a, "infiniband_verbs/uverbs4/ibdev", "mlx5_4\n");
  node.tree.file(b, "infiniband_verbs/uverbs9/ibdev", "mlx5_9\n");
  const {
    container_responses: [one],
  } = await node.kubelet.call(SETS, "Allocate", { container_requests: [{ devices_ids: [set(1)] }] });
  t.equal(one.envs.PCIDEVICE_RAILNET_IO_RAILS, set(1));
  t.same(Object.keys(JSON.parse(one.envs.PCIDEVICE_RAILNET_IO_RAILS_INFO)), [a, b]);
  t.same(
    one.devices.map(({ host_path }: { host_path: string }) => host_path),
    ["/dev/infiniband/uverbs4", "/dev/infiniband/uverbs9"],
  );
  t.same(node.promised, ["lock", `${a} uverbs4`, `${b} uverbs9`]);
  t.same(
    readdirSync(node.infoDir),
    [a, b].map((vf) => `railnet.io-rails-${vf}-device.json`),
    "for the agent alone: VFs that were just given",
  );
  await t.rejects(node.kubelet.call(SETS, "Allocate", { container_requests: [{ devices_ids: [a] }] }), {
    message: /0000:a0:02.1: it is not a VF of rail rail0\+rail1/,
  });
  await t.rejects(node.kubelet.call(RAIL0, "Allocate", { container_requests: [{ devices_ids: [a] }] }), {
    message: /0000:a0:02.1: it is not a VF of rail rail0/,
  });
});

t.test("a set is as well as its worst VF, whose rail is named", async (t) => {
  const node = await withSets(t);
  node.owed.add("0000:b0:02.0");
  await node.lookUntil("one is sick", () => node.kubelet.by("Unhealthy", SETS).length === 1);
  t.same(node.kubelet.by("Unhealthy", SETS), [set(0)]);
  node.owed.clear();
  await node.lookUntil("it is well again", () => node.kubelet.by("Healthy", SETS).length === 2);
  node.tree.setCarrier("ens2", false);
  await node.look();
  t.same(node.kubelet.by("Unhealthy", SETS), [], "within the time of grace");
  node.nowMs += 30_000;
  await node.lookUntil("all are sick", () => node.kubelet.by("Unhealthy", SETS).length === 2);
});

t.test("a VF that a pod has by itself keeps its place, and its set is for nobody until it is free", async (t) => {
  const node = await PluginNode.start(t);
  node.attached.add("0000:a0:02.0");
  node.sets = { count: 2, rails: ["rail0", "rail1"], inSets: new Set() };
  await node.lookUntil("the set is sick", () => node.kubelet.by("Unhealthy", SETS).length === 1);
  t.same([node.kubelet.by("Unhealthy", SETS), ids(node, RAIL0)], [[set(0)], ["0000:a0:02.0", "0000:a0:02.2"]]);
  node.attached.clear();
  await node.lookUntil("it is well", () => node.kubelet.by("Healthy", SETS).length === 2);
  t.same(ids(node, RAIL0), ["0000:a0:02.2"]);
});

t.test("a set that a pod has stays when there are fewer, and its VFs are for nobody until it has ended", async (t) => {
  const node = await withSets(t);
  const [a, b] = set(1).split(",") as [string, string];
  for (const vf of [a, b]) node.attached.add(vf);
  node.sets = { count: 1, rails: ["rail0", "rail1"], inSets: new Set([a, b]) };
  await node.lookUntil("it is there, and sick", () => node.kubelet.by("Unhealthy", SETS).join() === set(1));
  t.same([node.kubelet.by("Unhealthy", RAIL0), node.kubelet.by("Unhealthy", RAIL1)], [[a], [b]]);
  node.attached.clear();
  node.sets = { ...node.sets, inSets: new Set() };
  await node.lookUntil("it is gone", () => node.kubelet.devices(SETS).length === 1);
  t.same(
    [node.kubelet.by("Healthy", RAIL0), node.kubelet.by("Healthy", RAIL1)],
    [
      [a, "0000:a0:02.2"],
      [b, "0000:b0:02.2"],
    ],
  );
});

t.test("without one of its rails there is no set, and no VF is offered singly instead", async (t) => {
  const node = await withSets(t);
  for (const vf of set(0).split(",")) node.attached.add(vf);
  node.sets = { ...node.sets, inSets: new Set(node.attached) };
  node.tree.writeNumVfs(OTHER_PF, 0);
  await node.lookUntil("that of a pod alone is left", () => node.kubelet.by("Unhealthy", SETS).join() === set(0));
  t.same([node.kubelet.devices(SETS).length, ids(node, RAIL0)], [1, ["0000:a0:02.2"]]);
});
