import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { Journal } from "../../../cni/attachment/journal.ts";
import type { Attachment } from "../../../cni/attachment/record.ts";
import { tenantsOf } from "../../../daemonset/device-plugin/tenants.ts";
import { until } from "../../../lab/until.ts";
import { PF, PluginNode, RAIL0, RAIL1 } from "./support/plugin-node.ts";

const BOOT = "boot-1";

/** A node in shared RDMA mode, whose rail0 a RailNetwork gives to pods. */
async function governed(t: Test): Promise<PluginNode & { readonly stateDir: string }> {
  const node = await PluginNode.start(t);
  const stateDir = join(node.dir, "../state");
  mkdirSync(stateDir);
  for (const [i, vf] of node.vfs.entries()) node.tree.file(vf, `infiniband_verbs/uverbs${i}/ibdev`, `mlx5_${i}\n`);
  node.tenants = tenantsOf({ paths: { sysfs: node.tree.root, stateDir }, bootId: BOOT });
  return Object.assign(node, { stateDir });
}

/** As the agent writes it. */
function govern({ stateDir, dir }: { stateDir: string; dir: string }): void {
  const rails = [{ network: "teshio", rail: "rail0", resource: RAIL0, pf: PF }];
  const text = JSON.stringify({ version: 1, kubelet: join(dir, "checkpoint"), rails });
  writeFileSync(join(stateDir, "governed-rails.json"), text, { mode: 0o600 });
}

/** As the kubelet notes what it gave. */
function give({ dir }: PluginNode, pod: string, resource: string, ...ids: string[]): void {
  const PodDeviceEntries = [{ PodUID: pod, ContainerName: "c", ResourceName: resource, DeviceIDs: { "-1": ids } }];
  writeFileSync(join(dir, "checkpoint"), JSON.stringify({ Data: { PodDeviceEntries }, Checksum: 1 }));
}

function attach({ stateDir }: { stateDir: string }, pci: string, uid: string, more: Partial<Attachment> = {}): void {
  const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=${uid}`;
  new Journal(stateDir).write({
    ...{ version: 1, phase: "attached", bootId: BOOT, containerId: "c1", ifname: "net1", network: "n", netns: "/n" },
    ...{ netnsInode: 1, device: { pci }, original: {}, applied: {}, request: { path: [], args, stdin: "{}" } },
    ...more,
  } as Attachment);
}

t.test("a container starts with VFs of a RailNetwork once they are attached to its pod, and to no other", async (t) => {
  const node = await governed(t);
  govern(node);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const [first, second] = node.vfs as [string, string];
  const start = (...ids: string[]) => node.kubelet.call(RAIL0, "PreStartContainer", { devices_ids: ids });
  const required = (name: string) => node.kubelet.registrations.findLast(({ resource_name }) => resource_name === name)?.options; // biome-ignore format: one row
  t.match(required(RAIL0), { pre_start_required: true });
  t.match(required(RAIL1), { pre_start_required: false }, "of no RailNetwork");

  give(node, "u-1", RAIL0, first, second);
  const refusal = { code: 7, details: /cannot start a container with 0000:a0:02\.\d: RailNetwork teshio gives it to pods, and it is not attached to this one/ }; // biome-ignore format: one row
  await t.rejects(start(first), refusal, "a pod that asks for the resource, and names no network or one of its own");
  attach(node, first, "u-1", { phase: "claimed" });
  await t.rejects(start(first), refusal, "not yet");
  attach(node, first, "u-1");
  t.same(await start(first), {});
  await t.rejects(start(first, second), refusal, "one of two");
  attach(node, second, "u-2", { ifname: "net2" });
  await t.rejects(start(second), refusal, "another pod's");
  attach(node, second, "u-1", { ifname: "net2", bootId: "boot-0" });
  await t.rejects(start(second), refusal, "of the boot before");
  writeFileSync(join(node.dir, "checkpoint"), "{");
  await t.rejects(start(first), { code: 7, details: /cannot tell to which pod the kubelet gave a VF/ });
});

t.test("a set's VFs are all attached before a container starts with it", async (t) => {
  const node = await governed(t);
  govern(node);
  const SETS = "railnet.io/rails";
  const [first, other] = [node.vfs[0]!, node.tree.vfs("0000:b0:00.0")[0]!];
  give(node, "u-1", SETS, `${first},${other}`);
  const why = () => node.tenants.whyNotStart([`${first},${other}`], SETS);
  t.match(why(), /cannot start a container with 0000:a0:02.0/);
  attach(node, first, "u-1");
  t.equal(why(), undefined, "the other is of a rail that is no RailNetwork's");
  t.equal(node.tenants.governs(SETS), true);
});

t.test("the kubelet is told to ask, and not to, when that changes", async (t) => {
  const node = await governed(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const asks = () => node.kubelet.registrations.filter(({ resource_name }) => resource_name === RAIL0).map(({ options }) => Object(options).pre_start_required); // biome-ignore format: one row
  const isTold = (asked: boolean) =>
    until("the kubelet is told", async () => {
      await node.look();
      return asks().at(-1) === asked && node.kubelet.devices(RAIL0).length === 3;
    });
  t.equal(asks().at(-1), false);
  govern(node);
  await isTold(true);
  const before = asks().length;
  await node.look();
  t.equal(asks().length, before, "once");
  writeFileSync(join(node.stateDir, "governed-rails.json"), JSON.stringify({ version: 1, kubelet: "", rails: [] }));
  await isTold(false);
});
