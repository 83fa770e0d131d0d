// How nodes take slices of a range, beside each other and beside what goes wrong.
import t from "tap";
import { parseCidr } from "../../../ipam/address.ts";
import { rangeOf } from "../../../ipam/range.ts";
import { takeSlice } from "../../../ipam/store/kubernetes/slices.ts";
import { type SlicedRange, StoreError } from "../../../ipam/store/store.ts";
import { ApiError, IP_POOLS, type KubeObject, NODE_SLICE_POOLS } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../support/memory-cluster.ts";

const NAME = "rail0";
const CIDR = "10.0.0.0/24";

const whole = (sliceSize = "/26", cidr = CIDR): SlicedRange => ({
  name: NAME,
  network: "rail0",
  cidr,
  sliceSize,
  range: rangeOf(parseCidr(cidr)!),
});
const take = (cluster: MemoryCluster, node: string, range = whole()) => takeSlice(cluster, range, node);
/** `node@slice` of the list as it is stored. */
const listed = (cluster: MemoryCluster): string[] =>
  cluster
    .read("nodeslicepools", NAME)
    .status.allocations.map((one: { nodeName: string; sliceRange: string }) => `${one.nodeName}@${one.sliceRange}`);

t.test("takeSlice(): the first node makes the list, each has one of its own, and keeps it", async (t) => {
  const cluster = new MemoryCluster();
  t.equal(await take(cluster, "a"), "10.0.0.0/26");
  t.equal(await take(cluster, "b"), "10.0.0.64/26");
  const writes = () => cluster.requests.filter((one) => !one.startsWith("GET")).length;
  const before = writes();
  t.equal(await take(cluster, "a"), "10.0.0.0/26");
  t.equal(writes(), before, "what it has it takes without a write");
  t.same(listed(cluster), ["a@10.0.0.0/26", "b@10.0.0.64/26", "@10.0.0.128/26", "@10.0.0.192/26"]);
  t.match(cluster.read("nodeslicepools", NAME).spec, { range: CIDR, sliceSize: "/26" });
});

t.test("takeSlice() of many nodes at once: each has one of its own", async (t) => {
  const cluster = new MemoryCluster();
  const slices = await Promise.all(["a", "b", "c", "d"].map((node) => take(cluster, node)));
  t.equal(new Set(slices).size, 4);
  t.same(new Set(listed(cluster)), new Set(slices.map((slice, i) => `${"abcd"[i]}@${slice}`)));
  await t.rejects(take(cluster, "e"), {
    kind: "refused",
    message:
      /free slice in NodeSlicePool rail0 for e: all slices \/26 of 10\.0\.0\.0\/24 have a node; make node_slice_size/,
  });
});

t.test("takeSlice() takes what the node had before, told by its pool, if it is free", async (t) => {
  const cluster = new MemoryCluster();
  await take(cluster, "a");
  const pool = (name: string, range: string) => ({ metadata: { name }, spec: { range, allocations: {} } });
  await cluster.create(IP_POOLS, pool("rail0-b-10.0.0.128-26", "10.0.0.128/26"));
  await cluster.create(IP_POOLS, pool("rail0-c-10.0.0.0-26", "10.0.0.0/26"));
  await cluster.create(IP_POOLS, pool("rail1-c-10.0.0.192-26", "10.0.0.192/26"));
  t.equal(await take(cluster, "b"), "10.0.0.128/26");
  t.equal(await take(cluster, "c"), "10.0.0.64/26", "its own is a's now, and another network's is none");
});

t.test("takeSlice() cuts anew what is free when the size changed, and leaves others theirs", async (t) => {
  const cluster = new MemoryCluster();
  await take(cluster, "a");
  t.equal(await take(cluster, "b", whole("/25")), "10.0.0.128/25");
  t.ok(listed(cluster).includes("a@10.0.0.0/26"));
  t.match(cluster.read("nodeslicepools", NAME).spec, { range: CIDR, sliceSize: "/25" });
});

/** What happens to the first write of a node. */
for (const { what, error } of [
  { what: "is out of date", error: { status: 409, reason: "Conflict" } },
  { what: "fails its test", error: { status: 422, reason: "Invalid" } },
  { what: "has no answer", error: { isUnclear: true } },
])
  t.test(`takeSlice() looks again when its write ${what}`, async (t) => {
    for (const first of ["POST", "PATCH"]) {
      const cluster = new MemoryCluster();
      if (first === "PATCH") await take(cluster, "z");
      let isPlanted = false;
      cluster.before = (request) => {
        if (isPlanted || !request.startsWith(first)) return;
        isPlanted = true;
        throw new ApiError("planted", error);
      };
      t.match(await take(cluster, "a"), /^10\.0\.0\./);
      t.ok(isPlanted);
      t.equal(listed(cluster).filter((one) => one.startsWith("a@")).length, 1);
    }
  });

t.test("takeSlice() says what stands in its way: a refusal at once, lost races after some", async (t) => {
  const cluster = new MemoryCluster();
  await take(cluster, "z");
  cluster.before = (request) => {
    if (request.startsWith("PATCH")) throw new ApiError("planted: forbidden", { status: 403, reason: "Forbidden" });
  };
  await t.rejects(take(cluster, "a"), { name: "ApiError", status: 403 });
  let writes = 0;
  cluster.before = (request) => {
    if (request.startsWith("PATCH") && ++writes) throw new ApiError("planted", { status: 409, reason: "Conflict" });
  };
  await t.rejects(take(cluster, "a"), { kind: "unavailable", message: /lost \d races; try again/ });
  t.ok(writes > 1 && writes < 20, `${writes} tries`);
});

/** Somebody else is a moment quicker, once. */
function beforeFirstPatch(cluster: MemoryCluster, work: () => Promise<unknown>): void {
  let isFirst = true;
  cluster.before = async (request) => {
    if (!isFirst || !request.startsWith("PATCH")) return;
    isFirst = false;
    await work();
  };
}

t.test("takeSlice(): somebody takes the same slice a moment before: it stays theirs", async (t) => {
  const cluster = new MemoryCluster();
  await take(cluster, "z");
  beforeFirstPatch(cluster, async () => t.equal(await take(cluster, "b"), "10.0.0.64/26"));
  t.equal(await take(cluster, "a"), "10.0.0.128/26");
  t.same(listed(cluster), ["z@10.0.0.0/26", "b@10.0.0.64/26", "a@10.0.0.128/26", "@10.0.0.192/26"]);
});

t.test("takeSlice(): the list was cut anew a moment before: nothing is written over it", async (t) => {
  const cluster = new MemoryCluster();
  await take(cluster, "z");
  beforeFirstPatch(cluster, () => take(cluster, "b", whole("/27")));
  const slice = await take(cluster, "a");
  t.equal(new Set(listed(cluster).map((one) => one.split("@")[1])).size, listed(cluster).length);
  t.same(listed(cluster).filter((one) => !one.startsWith("@")).length, 3);
  t.ok(listed(cluster).includes(`a@${slice}`));
});

t.test("takeSlice() of a definition that keeps status apart is refused with what mends it", async (t) => {
  const cluster = new MemoryCluster();
  const dropping = new Proxy(cluster, {
    get: (target, key) =>
      key === "create"
        ? (_: unknown, { metadata }: KubeObject) => target.create(NODE_SLICE_POOLS, { metadata })
        : (Reflect.get(target, key).bind?.(target) ?? Reflect.get(target, key)),
  });
  const error = await take(dropping, "a").catch((e: unknown) => e);
  t.ok(error instanceof StoreError && error.kind === "refused", String(error));
  t.match(String(error), /keeps status apart.*kubectl apply -f manifests\/crds/);
});
