import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { until } from "../../../lab/until.ts";
import { PF, PluginNode, RAIL0, RAIL1 } from "./support/plugin-node.ts";

t.test("every rail is a resource with its VFs, their memory nodes and healthy", async (t) => {
  const node = await PluginNode.start(t);
  await node.lookUntil(
    "both rails are listed",
    () => node.kubelet.resources.length === 2 && node.kubelet.devices(RAIL1).length === 3,
  );
  t.same(node.kubelet.resources, [RAIL1, RAIL0]);
  t.same(
    node.kubelet.devices(RAIL1),
    ["0000:b0:02.0", "0000:b0:02.1", "0000:b0:02.2"].map((ID) => ({
      ID,
      health: "Healthy",
      topology: { nodes: [{ ID: 1 }] },
    })),
  );
  t.same(
    node.kubelet.registrations.find((r) => r.resource_name === RAIL0),
    {
      version: "v1beta1",
      endpoint: "railnet-rail0.sock",
      resource_name: RAIL0,
      options: { pre_start_required: false, get_preferred_allocation_available: true },
    },
  );
  t.same(node.log.take(), ["info registered with the kubelet", "info registered with the kubelet"]);
  await node.look();
  t.equal(node.kubelet.registrations.length, 2, "once is enough");
  t.equal(statSync(join(node.dir, "railnet-rail0.sock")).mode & 0o777, 0o600, "root's alone");
});

t.test("a rail is registered when its first VF is there, and follows how many there are", async (t) => {
  const node = await PluginNode.start(t);
  node.tree.writeNumVfs(PF, 0);
  await node.lookUntil("rail1 is listed", () => node.kubelet.devices(RAIL1).length === 3);
  t.same(node.kubelet.resources, [RAIL1]);
  node.tree.writeNumVfs(PF, 8);
  await node.lookUntil("8 VFs", () => node.kubelet.devices(RAIL0).length === 8);
  node.tree.writeNumVfs(PF, 0);
  node.tree.writeNumVfs(PF, 2);
  await node.lookUntil("2 VFs", () => node.kubelet.devices(RAIL0).length === 2);
  t.same(node.kubelet.by("Healthy", RAIL0), ["0000:a0:02.0", "0000:a0:02.1"]);
});

t.test("a rail that leaves the list is no resource any more, one that gets another name is another", async (t) => {
  const node = await PluginNode.start(t);
  await node.lookUntil(
    "both are listed",
    () => node.kubelet.devices(RAIL0).length === 3 && node.kubelet.devices(RAIL1).length === 3,
  );
  node.rails = "- { name: rail1, pf: { names: [ens2] }, resource: example.com/other }";
  await node.lookUntil("the new one is listed", () => node.kubelet.devices("example.com/other").length === 3);
  t.same(node.kubelet.resources, ["example.com/other"]);
  t.same(readdirSync(node.dir), ["kubelet.sock", "railnet-rail1.sock"]);
});

t.test(
  "a rail that leaves the list while pods have VFs of it is known to the kubelet until they have ended",
  async (t) => {
    const node = await PluginNode.start(t);
    const both = node.rails;
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
    node.attached.add(node.vfs[1]!);
    node.rails = "[]";
    await node.lookUntil("the others are gone", () => node.kubelet.devices(RAIL0).length === 1);
    t.same(node.kubelet.by("Unhealthy", RAIL0), [node.vfs[1]], "no other pod gets it");
    t.same(node.kubelet.resources, [RAIL0], "a rail that nobody has is gone");
    await node.kubelet.restart();
    await node.lookUntil("a kubelet that restarts is told", () => node.kubelet.devices(RAIL0).length === 1);
    const entry = (ResourceName: string, vf: number) => ({ PodUID: "u", ContainerName: "c", ResourceName, DeviceIDs: { "-1": [node.vfs[vf]] } }); // biome-ignore format: one row
    const PodDeviceEntries = [entry(RAIL0, 1), entry(RAIL0, 2), entry("intel.com/others", 1)];
    writeFileSync(join(node.dir, "kubelet_internal_checkpoint"), JSON.stringify({ Data: { PodDeviceEntries }, Checksum: 1 })); // biome-ignore format: one row
    await node.replaceAgent("killed");
    await until("the kubelet has noticed", () => node.kubelet.resources.length === 0);
    await node.look();
    await node.lookUntil("the next agent does the same", () => node.kubelet.devices(RAIL0).length === 1);
    t.same([node.kubelet.resources, node.kubelet.by("Unhealthy", RAIL0)], [[RAIL0], [node.vfs[1]]]);
    node.rails = both;
    await node.lookUntil("it is in the list again", () => node.kubelet.by("Healthy", RAIL0).length === 3);
    node.rails = "[]";
    node.attached.clear();
    await node.lookUntil("with its last pod it goes", () => node.kubelet.resources.length === 0);
  },
);

t.test("device-info files of VFs that are gone are swept at the start, those of others stay", async (t) => {
  const node = await PluginNode.start(t);
  mkdirSync(node.infoDir, { recursive: true });
  const files = [
    "railnet.io-rail0-0000:a0:02.0-device.json",
    "railnet.io-rail0-0000:a0:1f.0-device.json",
    "railnet.io-rail0-b-0000:a0:1f.0-device.json",
    "intel.com-x-0000:a0:1f.0-device.json",
  ];
  for (const file of files) writeFileSync(join(node.infoDir, file), "{}");
  await node.look();
  t.same(readdirSync(node.infoDir), files.filter((file) => file !== files[1]).sort());
});
