import t from "tap";
import { parseCidr } from "../../../ipam/address.ts";
import { rangeOf } from "../../../ipam/range.ts";
import { deletePod, makeNode, makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { Agent, pool } from "./support/agent.ts";
import { setMode, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld("absent");
t.setTimeout(600_000);
const { raw } = api;
const SLICES = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/nodeslicepools";
const KIND = { apiVersion: "whereabouts.cni.cncf.io/v1alpha1", kind: "NodeSlicePool" };

const wholeOf = (name: string, cidr: string, sliceSize: string) => ({
  name,
  network: name,
  cidr,
  sliceSize,
  range: rangeOf(parseCidr(cidr)!),
});
/** `node@slice` of every entry. */
const listed = async (name: string): Promise<string[]> =>
  (await raw.get(`${SLICES}/${name}`)).status.allocations.map((one: Json) => `${one.nodeName}@${one.sliceRange}`);

await makeNode(raw, "node-lead");
const lead = await Agent.start("node-lead", kubeconfig, { graceMs: 100, lookMs: 300 });
t.teardown(async () => {
  await lead.stop();
  await api.stop();
});
await lead.modes.synced;

t.test(
  "LeaderSlices frees the slice of a node that is gone when no pod has an address of it, and no other",
  async (t) => {
    const whole = wholeOf("rail0", "10.20.0.0/22", "/24");
    for (const node of ["node-here", "node-idle", "node-busy"]) await makeNode(raw, node);
    for (const node of ["node-here", "node-idle", "node-busy"]) await lead.store.slice(whole, node);
    await makePod(raw, "busy", { node: "node-busy" });
    const owner = { podref: "default/busy", ifname: "net1", containerId: "busy", node: "node-busy" };
    await lead.store.claim({ pool: pool("rail0-node-busy", "10.20.2.0/24"), ip: "10.20.2.1", owner: { ...owner } });
    for (const node of ["node-idle", "node-busy"]) await raw.delete(`/api/v1/nodes/${node}`);
    const kept = ["node-here@10.20.0.0/24", "@10.20.1.0/24", "node-busy@10.20.2.0/24", "@10.20.3.0/24"];
    await until(
      "the idle slice is free",
      () => listed("rail0"),
      (list) => list[1] === kept[1],
    );
    t.same(await listed("rail0"), kept, "the others are as they were");

    await makeNode(raw, "node-busy");
    t.equal(await lead.store.slice(whole, "node-busy"), "10.20.2.0/24", "a node that comes back has its own");
    await raw.delete("/api/v1/nodes/node-busy");
    await deletePod(raw, "busy");
    await until(
      "the last is free too",
      () => listed("rail0"),
      (list) => list[2] === "@10.20.2.0/24",
    );
    t.equal((await listed("rail0"))[0], kept[0]);
  },
);

t.test("LeaderSlices frees slices of a former size when they are empty, and cuts what is free anew", async (t) => {
  for (const node of ["node-a", "node-b"]) await makeNode(raw, node);
  const allocations = [
    { nodeName: "node-a", sliceRange: "10.30.0.0/24" },
    { nodeName: "node-b", sliceRange: "10.30.1.0/24" },
  ];
  const spec = { range: "10.30.0.0/23", sliceSize: "/25" };
  await raw.post(SLICES, { ...KIND, metadata: { name: "rail1" }, spec, status: { allocations } });
  const want = ["@10.30.0.0/25", "@10.30.0.128/25", "@10.30.1.0/25", "@10.30.1.128/25"];
  await until(
    "cut anew",
    () => listed("rail1"),
    (list) => list.join() === want.join(),
  );
  t.equal(await lead.store.slice(wholeOf("rail1", "10.30.0.0/23", "/25"), "node-a"), "10.30.0.0/25");
});

t.test("LeaderSlices leaves the list to Whereabouts' controller beside a live one", async (t) => {
  await setMode(raw, "coexist");
  await until(
    "the mode",
    () => lead.modes.mode,
    (mode) => mode === "coexist",
  );
  const allocations = [{ nodeName: "node-never", sliceRange: "10.40.0.0/24" }];
  const spec = { range: "10.40.0.0/24", sliceSize: "/24" };
  await raw.post(SLICES, { ...KIND, metadata: { name: "rail2" }, spec, status: { allocations } });
  await new Promise((done) => setTimeout(done, 1_500)); // some looks, and the grace thrice over
  t.same(await listed("rail2"), ["node-never@10.40.0.0/24"]);
  await setMode(raw, "absent");
  await until(
    "freed once it is alone",
    () => listed("rail2"),
    ([one]) => one === "@10.40.0.0/24",
  );
});
