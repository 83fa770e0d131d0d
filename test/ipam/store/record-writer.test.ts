// How changes of records go together, and what becomes of each when a patch fails.
import t from "tap";
import { PoolView } from "../../../ipam/store/kubernetes/pool-view.ts";
import { RecordWriter } from "../../../ipam/store/kubernetes/record-writer.ts";
import type { StoreError } from "../../../ipam/store/store.ts";
import type { IpPool } from "../../../ipam/whereabouts/objects.ts";
import { ApiError, type Cluster, IP_POOLS, type JsonPatch } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../support/memory-cluster.ts";
import { ownerOf, poolOf } from "./names.ts";

const POOL = poolOf("", "10.20.0.0/16");
const conflict = new ApiError("planted: conflict", { status: 422, reason: "Invalid" });

async function open({ records = {}, fails = (_: readonly string[], __: number): unknown => undefined } = {}) {
  const cluster = new MemoryCluster();
  await cluster.create(IP_POOLS, { metadata: { name: POOL.name }, spec: { range: POOL.cidr, allocations: records } } as never);
  /** Of each patch the keys that it writes. */
  const patches: string[][] = [];
  const through = {
    patch: async (resource: typeof IP_POOLS, name: string, patch: JsonPatch) => {
      const keys = patch.filter(({ op }) => op !== "test").map(({ path }) => path.split("/")[3]!);
      patches.push(keys);
      const error = fails(keys, patches.length);
      if (error) throw error;
      return await cluster.patch(resource, name, patch);
    },
  } as unknown as Cluster;
  const read = () => cluster.read("ippools", POOL.name) as IpPool;
  const view = new PoolView(POOL, read());
  const steps: string[] = [];
  const reread = async () => view.update(read());
  const writer = new RecordWriter(through, view, reread, (step) => steps.push(step), (work) => work());
  const there = () => Object.entries(read().spec.allocations).map(([key, { id }]) => `${key} ${id.slice(0, 3)}`);
  return { cluster, writer, patches, steps, there, view };
} // biome-ignore format: rows

const record = (pod: string) => ({ id: ownerOf(pod).containerId, podref: `team/${pod}`, ifname: "net1" });
const kinds = (outcomes: readonly PromiseSettledResult<unknown>[]) =>
  outcomes.map((one) => (one.status === "fulfilled" ? one.value : (one.reason as StoreError).kind ?? (one.reason as ApiError).status)); // biome-ignore format: one row

t.test("RecordWriter puts what comes together into one patch, no more than 256 records each", async (t) => {
  const { writer, patches, there } = await open();
  const owners = Array.from({ length: 600 }, (_, i) => [String(i + 1), { owner: ownerOf(`p${i}`) }] as const);
  t.same(new Set(await Promise.all(owners.map(([key, claim]) => writer.write(key, claim)))), new Set([undefined]));
  t.same(patches.map(({ length }) => length), [1, 256, 256, 87], "the first goes at once");
  t.equal(there().length, 600);
}); // biome-ignore format: one row

t.test("RecordWriter does two changes of one record one after the other", async (t) => {
  const { writer, patches, steps, there } = await open();
  const first = writer.write("9", { owner: ownerOf("z") });
  const owner = ownerOf("a");
  const both = [writer.write("1", { owner }), writer.remove("1", owner), writer.write("2", { owner: ownerOf("b") })];
  t.same(await Promise.all([first, ...both]), [undefined, undefined, { kind: "removed", outcome: "released" }, undefined]);
  t.same(patches, [["9"], ["1", "2"], ["1"]]);
  t.same(there().map((one) => one.split(" ")[0]).sort(), ["2", "9"]);
  t.same(steps.toSorted(), ["store-record-removed", "store-record-written", "store-record-written", "store-record-written"]);
}); // biome-ignore format: rows

t.test("RecordWriter says whose a record is that it could not write or remove", async (t) => {
  const { writer, cluster, steps } = await open();
  await cluster.patch(IP_POOLS, POOL.name, [{ op: "add", path: "/spec/allocations/1", value: record("a") }]);
  t.match(await writer.write("1", { owner: ownerOf("b") }), { podref: "team/a" });
  t.match(await writer.remove("1", ownerOf("b")), { outcome: "foreign", holder: { podref: "team/a" } });
  t.match(await writer.remove("2", ownerOf("b")), { outcome: "absent" });
  t.same(steps, []);
  t.match(await writer.remove("1", ownerOf("a")), { outcome: "released" });
});

for (const { when, fails, outcomes, patches } of [
  { when: "one of them is out of date once", fails: (_: readonly string[], n: number) => (n === 2 ? conflict : undefined), outcomes: [undefined, undefined, undefined, undefined], patches: [1, 3, 3] },
  { when: "one of them is refused for what it is, by a server that does not say which", fails: (keys: readonly string[]) => (keys.includes("3") ? conflict : undefined), outcomes: [undefined, undefined, "refused", undefined], patches: undefined },
  { when: "all are forbidden", fails: (_: readonly string[], n: number) => (n > 1 ? new ApiError("no", { status: 403 }) : undefined), outcomes: [undefined, 403, 403, 403], patches: [1, 3] },
  { when: "the pool is gone for a moment", fails: (_: readonly string[], n: number) => (n === 2 ? new ApiError("no", { status: 404 }) : undefined), outcomes: [undefined, undefined, undefined, undefined], patches: [1, 3, 3] },
  { when: "nobody knows what became of the patch", fails: (_: readonly string[], n: number) => (n > 1 ? new ApiError("no", { status: 504, isUnclear: true }) : undefined), outcomes: [undefined, "unclear", "unclear", "unclear"], patches: undefined },
] as { when: string; fails(keys: readonly string[], n: number): unknown; outcomes: unknown[]; patches: number[] | undefined }[]) // biome-ignore format: rows
  t.test(`RecordWriter: four changes of which ${when}`, async (t) => {
    const opened = await open({ fails });
    const all = ["1", "2", "3", "4"].map((key) => opened.writer.write(key, { owner: ownerOf(`p${key}`) }));
    const settled = await Promise.allSettled(all);
    t.same(kinds(settled), outcomes);
    if (patches) t.same(opened.patches.map(({ length }) => length), patches); // biome-ignore format: one row
    t.ok(opened.patches.length <= 30, `${opened.patches.length} patches`);
    const written = settled.flatMap(({ status }, i) => (status === "fulfilled" ? [String(i + 1)] : []));
    t.same(opened.there().map((one) => one.split(" ")[0]), written, "who was told so has it, and nobody else"); // biome-ignore format: one row
  });

t.test("RecordWriter goes on after a batch that failed", async (t) => {
  const { writer, there } = await open({ fails: (_, n) => (n === 1 ? new ApiError("no", { status: 403 }) : undefined) });
  await t.rejects(writer.write("1", { owner: ownerOf("a") }), { name: "ApiError", status: 403 });
  t.equal(await writer.write("1", { owner: ownerOf("a") }), undefined);
  t.equal(there().length, 1);
}); // biome-ignore format: one row
