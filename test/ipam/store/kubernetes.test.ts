// The parts of the Kubernetes store that need no server.
import t from "tap";
import { isOutdated, isTaken, toStoreError } from "../../../ipam/store/kubernetes/failure.ts";
import { cidrOfPool } from "../../../ipam/store/kubernetes/pool-span.ts";
import { PoolView } from "../../../ipam/store/kubernetes/pool-view.ts";
import { operations, type RecordChange, settled } from "../../../ipam/store/kubernetes/record-change.ts";
import { Shared } from "../../../ipam/store/kubernetes/shared.ts";
import { type Owner, StoreError } from "../../../ipam/store/store.ts";
import type { IpPool, PoolRecord, Reservation } from "../../../ipam/whereabouts/objects.ts";
import { ApiError } from "../../../kubernetes/cluster.ts";
import { ownerOf, poolOf } from "./names.ts";

const OWNER = ownerOf("p", "new");
const own: PoolRecord = { id: OWNER.containerId, ifname: "net1", podref: "team/p" };
const old: PoolRecord = { ...own, id: "old" };
const foreign: PoolRecord = { id: "x", ifname: "net1", podref: "team/q" };
const without: PoolRecord = { id: "x", podref: "team/p" };

for (const { kind, when, there, want } of [
  { kind: "write", when: "nothing is there", there: undefined, want: undefined },
  { kind: "write", when: "its own record is there", there: own, want: { kind: "written" } },
  { kind: "write", when: "an older sandbox's is there", there: old, want: undefined },
  { kind: "write", when: "somebody else's is there", there: foreign, want: { kind: "held" } },
  { kind: "write", when: "one without ifname is there", there: without, want: { kind: "held" } },
  { kind: "remove", when: "nothing is there", there: undefined, want: { kind: "removed", outcome: "absent" } },
  { kind: "remove", when: "its own record is there", there: own, want: undefined },
  { kind: "remove", when: "another sandbox's is there", there: old, want: { kind: "removed", outcome: "foreign" } },
  { kind: "remove", when: "somebody else's is there", there: foreign, want: { kind: "removed", outcome: "foreign" } },
] as const)
  t.test(`settled() of a ${kind} when ${when}`, async (t) => {
    const outcome = settled({ kind, key: "5", owner: OWNER }, there);
    if (want) t.match(outcome, want);
    else t.equal(outcome, undefined, "it is still to be made");
  });

t.test("operations() test what they change, and never the version of the pool", async (t) => {
  const change = (kind: RecordChange["kind"]): RecordChange => ({ kind, key: "5", owner: OWNER });
  t.same(operations(change("write"), undefined), [
    { op: "test", path: "/spec/allocations/5", value: null },
    { op: "add", path: "/spec/allocations/5", value: { id: OWNER.containerId, ifname: "net1", podref: "team/p" } },
  ]);
  t.same(operations(change("write"), foreign), operations(change("write"), undefined));
  const isOf = (containerId: string) => [
    { op: "test", path: "/spec/allocations/5/podref", value: "team/p" },
    { op: "test", path: "/spec/allocations/5/ifname", value: "net1" },
    { op: "test", path: "/spec/allocations/5/id", value: containerId },
  ];
  t.same(operations(change("write"), old), [
    ...isOf("old"),
    { op: "replace", path: "/spec/allocations/5/id", value: OWNER.containerId },
  ]);
  for (const remembered of [undefined, foreign, own])
    t.same(operations(change("remove"), remembered), [
      ...isOf(OWNER.containerId),
      { op: "remove", path: "/spec/allocations/5" },
    ]);
});

t.test("a record of a pod of the same name is held, unless its sandbox is known to be over", async (t) => {
  const owner = { ...OWNER, podUid: "uid-2" };
  const isOver = ({ containerId }: Owner) => containerId === "old";
  t.match(settled({ kind: "write", key: "5", owner }, old), { kind: "held", owner: { containerId: "old" } });
  t.same(operations({ kind: "write", key: "5", owner }, old)[0], {
    op: "test",
    path: "/spec/allocations/5",
    value: null,
  });
  t.equal(settled({ kind: "write", key: "5", owner, isOver }, old), undefined);
  t.equal(operations({ kind: "write", key: "5", owner, isOver }, old).at(-1)?.op, "replace");
});

for (const { network, name, want } of [
  { network: "", name: "10.10.0.0-16", want: [0x0a0a0000n, 0x0a0affffn] },
  { network: "rail0", name: "rail0-10.10.0.0-16", want: [0x0a0a0000n, 0x0a0affffn] },
  { network: "rail0", name: "rail0-fd00-10---64", want: [0xfd000010n << 96n, (0xfd000010n << 96n) + (1n << 64n) - 1n] },
  { network: "", name: "abcd---64", want: [0xabcdn << 112n, (0xabcdn << 112n) + (1n << 64n) - 1n] },
  { network: "rail0", name: "10.10.0.0-16", want: undefined },
  { network: "", name: "rail0-10.10.0.0-16", want: undefined },
  { network: "rail", name: "rail0-10.10.0.0-16", want: undefined },
  { network: "", name: "10.10.0.0-33", want: undefined },
  { network: "", name: "some-pool", want: undefined },
] as const)
  t.test(`cidrOfPool() of ${name} in network "${network}"`, async (t) => {
    const cidr = cidrOfPool(network, name);
    t.same(cidr && [cidr.span.first, cidr.span.last], want);
  });

const pool = poolOf("n", "10.20.0.0/24");
const object = (allocations: Record<string, PoolRecord>, range = pool.cidr, adopted = false): IpPool => ({
  metadata: { name: pool.name, ...(adopted && { annotations: { "railnet.io/adopted": "true" } }) },
  spec: { range, allocations },
});
const reservation = (name: string, through: string, podref = "team/r"): Reservation => ({
  metadata: { name, annotations: { "railnet.io/pool": through } },
  spec: { podref, ifname: "net1" },
});
const at = (last: number): bigint => 0x0a140000n + BigInt(last);

t.test("PoolView knows records, reservations and what it is told, and nothing of other networks", async (t) => {
  const view = new PoolView(pool, object({ 3: own, abc: foreign, "-1": foreign }));
  view.updateReservations([
    reservation("n-10.20.0.4", pool.name),
    reservation("n-10.20.0.5", "n-10.20.0.0-28", "team/wide"),
    reservation("m-10.20.0.6", "m-10.20.0.0-24"),
    reservation("n-10.21.0.7", "n-10.21.0.0-24"),
  ]);
  view.add("10.20.0.8");
  const taken = view.taken("lowest");
  t.same(
    [2, 3, 4, 5, 6, 7, 8].filter((last) => taken.has(at(last))),
    [3, 4, 5, 8],
  );
  t.same(taken.run?.(at(4)), { first: at(3), last: at(5) });
  t.same(taken.of("team/p", "net1"), ["10.20.0.3"]);
  t.same(taken.of("team/r", "net1"), ["10.20.0.4"]);
  t.same(taken.of("team/wide", "net1"), [], "it is another pool's");
});

t.test("PoolView keeps reservations over a look at the records, and forgets what is released", async (t) => {
  const view = new PoolView(pool, object({ 3: own }));
  const taken = view.taken("lowest");
  view.add("10.20.0.4", { podref: "team/r", ifname: "net1" });
  view.update(object({ 9: foreign }, pool.cidr, true));
  t.same(
    [3, 4, 9].map((last) => taken.has(at(last))),
    [false, true, true],
  );
  t.ok(view.isAdopted);
  t.same(taken.of("team/r", "net1"), ["10.20.0.4"]);
  view.remove("10.20.0.4", { podref: "team/r", ifname: "net1" });
  view.remove("10.20.0.9", { podref: "team/q", ifname: "net1" });
  t.same(
    [4, 9].map((last) => taken.has(at(last))),
    [false, false],
  );
  t.same(taken.of("team/r", "net1"), []);
  t.same(taken.of("team/q", "net1"), []);
  view.updateReservations([]);
  t.equal(view.recordCount, 0);
});

t.test("PoolView counts keys from the literal base, below it too", async (t) => {
  const view = new PoolView(pool, object({}, "10.20.0.20/24"));
  t.equal(view.keyOf("10.20.0.25"), "5");
  t.equal(view.keyOf("10.20.0.15"), "5");
  t.equal(view.ipOf("5"), "10.20.0.25");
  t.equal(view.ipOf("5x"), undefined);
  const wide = new PoolView(poolOf("n", "fd00::/32"), object({}, "fd00::/32"));
  t.throws(() => wide.keyOf("fd00:0:1::"), /Whereabouts' keys end at/);
});

t.test("Shared.run() runs once for all who come while it runs, after it", async (t) => {
  const shared = new Shared();
  let runs = 0;
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const work = () => gates[runs++]!.promise;
  const first = shared.run(work);
  const others = [shared.run(work), shared.run(work)];
  t.equal(runs, 1);
  gates[0]!.reject(new Error("lost"));
  await t.rejects(first, /lost/);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(runs, 2, "one for both who waited, though the first failed");
  gates[1]!.resolve();
  await Promise.all(others);
  gates[2]!.resolve();
  await shared.run(work);
  t.equal(runs, 3);
});

for (const { status, isUnclear = false, want } of [
  { status: 0, want: "unavailable" },
  { status: 0, isUnclear: true, want: "unclear" },
  { status: 401, want: "refused" },
  { status: 403, want: "refused" },
  { status: 404, want: "refused" },
  { status: 422, want: "refused" },
  { status: 429, want: "unavailable" },
  { status: 500, isUnclear: true, want: "unclear" },
  { status: 503, want: "unavailable" },
  { status: 504, isUnclear: true, want: "unclear" },
])
  t.test(`toStoreError() of status ${status}${isUnclear ? ", which may have been done" : ""} is ${want}`, async (t) => {
    const error = toStoreError("claim 10.20.0.5", new ApiError("cannot create x: no", { status, isUnclear }));
    t.equal(error.kind, want);
    t.equal(error.message, "cannot claim 10.20.0.5: cannot create x: no");
    t.ok(error.cause instanceof ApiError);
    t.equal(toStoreError("do more", error), error, "a StoreError stays what it is");
    t.ok(error instanceof StoreError);
  });

t.test("isTaken() and isOutdated() tell a name that is in use from a version that is old", async (t) => {
  const taken = new ApiError("x", { status: 409, reason: "AlreadyExists" });
  const old = new ApiError("x", { status: 409, reason: "Conflict" });
  t.same([isTaken(taken), isTaken(old)], [true, false]);
  t.same(
    [isOutdated(old), isOutdated(new ApiError("x", { status: 422 })), isOutdated(new Error("x"))],
    [true, true, false],
  );
});
