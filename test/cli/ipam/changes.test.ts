// What an operator's command removes and writes: what it looked at, and only that, in the order that is safe beside Whereabouts.
import t from "tap";
import type { Located } from "../../../cli/ipam/addresses.ts";
import { addRecord, remove } from "../../../cli/ipam/changes.ts";
import { running, UsageError } from "../../../cli/ipam/options.ts";
import { Progress } from "../../../cli/ipam/progress.ts";
import { knownOf } from "../../../cli/ipam/show/known.ts";
import type { IpPool, PoolRecord } from "../../../ipam/whereabouts/objects.ts";
import { ApiError, IP_POOLS, type KubeObject, PODS, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";

const POOL = "10.0.0.0-24";
const record: PoolRecord = { id: "c", podref: "team/a", ifname: "net1" };
const located = (key = "1", of = record): Located => ({
  ip: `10.0.0.${key}`,
  network: "",
  pool: POOL,
  key,
  record: of,
});

async function clusterWith(records: object = { 1: record }) {
  const cluster = new MemoryCluster();
  await cluster.create(IP_POOLS, { metadata: { name: POOL }, spec: { range: "10.0.0.0/24", allocations: records } } as KubeObject);
  const labels = { "railnet.io/pool": POOL, "railnet.io/network": "" };
  const spec = { podref: "team/a", ifname: "net1", containerid: "c" };
  const reservation = await cluster.create(RESERVATIONS, { metadata: { name: "10.0.0.1", labels }, spec } as KubeObject);
  cluster.requests.length = 0;
  const keys = () => Object.keys((cluster.read("ippools", POOL) as IpPool).spec.allocations);
  const left = () => [...cluster.names("overlappingrangeipreservations").map((name) => `reserved ${name}`), ...keys().map((key) => `recorded ${key}`)];
  return { cluster, reservation, left };
} // biome-ignore format: rows

for (const { mode, order } of [
  { mode: "absent", order: ["DELETE overlappingrangeipreservations 10.0.0.1", `PATCH ippools ${POOL}`] },
  { mode: "coexist", order: [`PATCH ippools ${POOL}`, "DELETE overlappingrangeipreservations 10.0.0.1"] },
] as const)
  t.test(`remove() in mode ${mode} takes reservation and record, and nothing else`, async (t) => {
    const { cluster, reservation, left } = await clusterWith({ 1: record, 2: record });
    t.equal(await remove(cluster, mode, { reservation, records: [located()] }), "done");
    t.same(cluster.requests, order);
    t.same(left(), ["recorded 2"]);
    t.equal(await remove(cluster, mode, { reservation, records: [located()] }), "gone", "again");
    t.equal(await remove(cluster, mode, { records: [located("2")] }), "done", "a record alone");
    t.equal(await remove(cluster, mode, { records: [] }), "gone");
  });

for (const mode of ["absent", "coexist"] as const)
  for (const what of ["reservation", "record"] as const)
    t.test(`remove() in mode ${mode} leaves a ${what} that changed meanwhile, and what comes behind it`, async (t) => {
      const { cluster, reservation, left } = await clusterWith();
      if (what === "reservation") await cluster.mergePatch(RESERVATIONS, "10.0.0.1", { spec: { containerid: "new" } });
      else await cluster.patch(IP_POOLS, POOL, [{ op: "replace", path: "/spec/allocations/1/id", value: "new" }]);
      t.equal(await remove(cluster, mode, { reservation, records: [located()] }), "changed");
      const isFirst = (what === "reservation") === (mode === "absent");
      t.same(left(), isFirst ? ["reserved 10.0.0.1", "recorded 1"] : [what === "record" ? "recorded 1" : "reserved 10.0.0.1"]);
    }); // biome-ignore format: rows

t.test("remove() and addRecord() pass on what the server refuses for other reasons", async (t) => {
  const { cluster, reservation } = await clusterWith();
  const owner = { podref: "team/b", ifname: "net1", containerId: "d" };
  t.equal(await addRecord(cluster, POOL, "1", owner), "changed", "somebody has it");
  t.equal(await addRecord(cluster, "none", "1", owner), "gone");
  t.equal(await addRecord(cluster, POOL, "3", owner), "done");
  t.same((cluster.read("ippools", POOL) as IpPool).spec.allocations["3"], { id: "d", podref: "team/b", ifname: "net1" });
  cluster.before = () => {
    throw new ApiError("forbidden", { status: 403 });
  };
  for (const work of [
    () => remove(cluster, "absent", { reservation, records: [] }),
    () => remove(cluster, "absent", { records: [located()] }),
    () => addRecord(cluster, POOL, "4", owner),
  ])
    await t.rejects(work(), { name: "ApiError", status: 403 });
}); // biome-ignore format: rows

t.test("knownOf() tells everything that a cluster knows of an address, network by network", async (t) => {
  const { cluster } = await clusterWith({ 1: record, 7: { id: "w", podref: "team/gone" } });
  await cluster.create(IP_POOLS, { metadata: { name: "rail1-10.0.0.0-28" }, spec: { range: "10.0.0.0/28", allocations: {} } } as KubeObject);
  await cluster.create(PODS, { metadata: { name: "a", namespace: "team" }, spec: { nodeName: "node-a" }, status: { phase: "Running" } } as KubeObject);
  using progress = new Progress();
  const [unnamed, rail1, ...more] = await knownOf("10.0.0.1", cluster, progress);
  t.same(more, []);
  t.match(unnamed, {
    ip: "10.0.0.1",
    network: "",
    pools: [{ pool: POOL, range: "10.0.0.0/24", isAdopted: false }],
    reservation: { name: "10.0.0.1", podref: "team/a", ifname: "net1", containerId: "c", pool: POOL, madeBy: "Railnet", managers: [] },
    records: [{ pool: POOL, key: "1", podref: "team/a", ifname: "net1", containerId: "c" }],
    owners: [{ podref: "team/a", exists: true, phase: "Running", node: "node-a" }],
  });
  t.equal(unnamed!.owners.length, 1, "reservation and record name one pod");
  t.match(rail1, { network: "rail1", pools: [{ pool: "rail1-10.0.0.0-28" }], reservation: null, records: [], owners: [] });
  const [seven] = await knownOf("10.0.0.7", cluster, progress);
  t.match(seven, { reservation: null, records: [{ key: "7", ifname: "" }], owners: [{ podref: "team/gone", exists: false, uid: "", phase: "", node: "" }] });
  t.ok(seven!.owners[0]!.over, "and needs it no more");
  t.same(await knownOf("10.9.9.9", cluster, progress), []);
}); // biome-ignore format: rows

t.test("running() makes of what a command throws a line and an exit code", async (t) => {
  const [before, error] = [process.exitCode, console.error];
  const said: unknown[] = [];
  console.error = (text: unknown) => said.push(text);
  const codes: unknown[] = [];
  for (const work of [
    async () => 0 as const,
    async () => 1 as const,
    () => Promise.reject(new UsageError("want a pod")),
    () => Promise.reject(new Error("no API server")),
    () => Promise.reject("odd"),
  ]) {
    await running(work)({});
    codes.push(process.exitCode);
  }
  console.error = error;
  process.exitCode = before;
  t.same(codes, [0, 1, 2, 1, 1]);
  t.same(said, ["railnet: want a pod", "railnet: no API server", "railnet: odd"]);
});
