import t from "tap";
import { planView, toPatch, withinRoom } from "../../../daemonset/addresses/leader/plan-view.ts";
import type { Owner } from "../../../ipam/store/store.ts";
import type { PoolRecord } from "../../../ipam/whereabouts/objects.ts";
import type { JsonPatch } from "../../../kubernetes/cluster.ts";
import * as fc from "../../../lab/properties.ts";

const a: Owner = { podref: "default/a", ifname: "net1", containerId: "a1" };
const b: Owner = { podref: "default/b", ifname: "net1", containerId: "b1" };
const recordA = { id: "a1", ifname: "net1", podref: "default/a" };
const recordB = { id: "b1", ifname: "net1", podref: "default/b" };
const nobody = (): boolean => false;

interface Row {
  when: string;
  wanted?: Record<string, Owner>;
  actual?: Record<string, PoolRecord>;
  mayGo?: (key: string, record: PoolRecord) => boolean;
  patch?: JsonPatch;
  doubtful?: string[];
  junk?: string[];
}

const rows: Row[] = [
  { when: "they are the same", wanted: { 1: a }, actual: { 1: recordA }, patch: [] },
  {
    when: "a reservation has no record",
    wanted: { 1: a },
    patch: [
      { op: "test", path: "/spec/allocations/1", value: null },
      { op: "add", path: "/spec/allocations/1", value: recordA },
    ],
  },
  {
    when: "a record's reservation was seen and is gone",
    actual: { 1: recordA },
    mayGo: (key, { id }) => key === "1" && id === "a1",
    patch: [
      { op: "test", path: "/spec/allocations/1/id", value: "a1" },
      { op: "remove", path: "/spec/allocations/1" },
    ],
  },
  {
    when: "the quarantine of an address is over, and the leader that saw it leads no more",
    actual: { 1: { id: "", ifname: "", podref: "quarantined" } },
    patch: [
      { op: "test", path: "/spec/allocations/1/podref", value: "quarantined" },
      { op: "remove", path: "/spec/allocations/1" },
    ],
  },
  {
    when: "the interface has a newer sandbox at this address",
    wanted: { 1: { ...a, containerId: "a2" } },
    actual: { 1: recordA },
    patch: [
      { op: "test", path: "/spec/allocations/1/id", value: "a1" },
      { op: "replace", path: "/spec/allocations/1", value: { ...recordA, id: "a2" } },
    ],
  },
  {
    when: "its interface has another address in this pool now, and somebody else has this one",
    wanted: { 1: b, 2: a },
    actual: { 1: recordA },
    patch: [
      { op: "test", path: "/spec/allocations/1/id", value: "a1" },
      { op: "replace", path: "/spec/allocations/1", value: recordB },
      { op: "test", path: "/spec/allocations/2", value: null },
      { op: "add", path: "/spec/allocations/2", value: recordA },
    ],
  },
  {
    when: "the interface has another address in this pool now",
    wanted: { 2: a },
    actual: { 1: recordA, 2: recordA },
    patch: [
      { op: "test", path: "/spec/allocations/1/id", value: "a1" },
      { op: "remove", path: "/spec/allocations/1" },
    ],
  },
  { when: "a record nobody vouches for has no reservation", actual: { 1: recordA }, patch: [], doubtful: ["1"] },
  { when: "a record says another pod than the reservation", wanted: { 1: b }, actual: { 1: recordA }, doubtful: ["1"] },
  {
    when: "a record of a pod that is over says another pod than the reservation",
    wanted: { 1: b },
    actual: { 1: recordA },
    mayGo: () => true,
    patch: [
      { op: "test", path: "/spec/allocations/1/id", value: "a1" },
      { op: "replace", path: "/spec/allocations/1", value: recordB },
    ],
  },
  { when: "a key is no number", actual: { abc: recordA }, wanted: { 2: a }, mayGo: () => true, junk: ["abc"] },
  {
    when: "a key has a leading zero, which Whereabouts reads as a number",
    actual: { "01": recordA },
    mayGo: () => true,
    patch: [
      { op: "test", path: "/spec/allocations/01/id", value: recordA.id },
      { op: "remove", path: "/spec/allocations/01" },
    ],
  },
  { when: "a record is no pod's", actual: { 3: { id: "resv:node-a", podref: "" } }, mayGo: () => true, junk: ["3"] },
  {
    when: "a record was written before ifnames were",
    wanted: { 5: { ...a, ifname: "" } },
    actual: { 5: { id: "a1", podref: "default/a" } },
    patch: [],
  },
];

for (const { when, wanted = {}, actual = {}, mayGo = nobody, patch, doubtful = [], junk = [] } of rows)
  t.test(`planView() when ${when}`, async (t) => {
    const plan = planView(new Map(Object.entries(wanted)), new Map(Object.entries(actual)), mayGo);
    if (patch) t.same(toPatch(plan.changes), patch);
    t.same(
      plan.doubtful.map(({ key }) => key),
      doubtful,
    );
    t.same(plan.junk, junk);
    for (const key of [...doubtful, ...junk]) t.notOk(plan.changes.some((change) => change.key === key));
  });

t.test("toPatch() writes a record byte for byte as Whereabouts does", async (t) => {
  const { changes } = planView(new Map([["1", a]]), new Map(), nobody);
  // From a capture of Whereabouts' own patch.
  const theirs = '{"op":"add","path":"/spec/allocations/1","value":{"id":"a1","ifname":"net1","podref":"default/a"}}';
  t.equal(JSON.stringify(toPatch(changes)[1]), theirs);
});

/** A patch as the server does it, by hand: undefined when a test fails. */
function patched(records: Record<string, PoolRecord>, patch: JsonPatch): Record<string, PoolRecord> | undefined {
  const now = { ...records };
  for (const operation of patch) {
    const [, , , key = "", member] = operation.path.split("/");
    if (operation.op === "test") {
      const found = member ? now[key]?.id : now[key];
      if ((found ?? null) !== operation.value) return undefined;
    } else if (operation.op === "remove") {
      if (!now[key]) return undefined;
      delete now[key];
    } else now[key] = operation.value as PoolRecord;
  }
  return now;
}

const keys = fc.constantFrom("0", "1", "2", "3", "4", "5");
const pods: fc.Arbitrary<string> = fc.constantFrom("x/a", "x/b", "x/c");
const owners: fc.Arbitrary<Owner> = fc.record({
  podref: pods,
  ifname: fc.constantFrom("net1", "net2"),
  containerId: fc.constantFrom("1", "2"),
});
const records: fc.Arbitrary<PoolRecord> = owners.map(({ containerId, ifname, podref }) => ({
  id: containerId,
  ifname,
  podref,
}));

t.test(
  "planView() leads to the wanted records where all may go, and never touches the pod of a doubtful one",
  async (t) => {
    fc.assert(
      fc.property(fc.dictionary(keys, owners), fc.dictionary(keys, records), fc.array(pods), (wanted, actual, over) => {
        const mayGo = (_: string, { podref }: PoolRecord) => over.includes(podref);
        const plan = planView(new Map(Object.entries(wanted)), new Map(Object.entries(actual)), mayGo);
        const after = patched(actual, toPatch(plan.changes));
        if (!after) return false;
        const doubtful = new Set(plan.doubtful.map(({ key }) => key));
        for (const key of new Set([...Object.keys(wanted), ...Object.keys(actual)])) {
          const { podref, ifname, containerId: id } = wanted[key] ?? {};
          const want = doubtful.has(key) ? actual[key] : wanted[key] && { id, ifname, podref };
          if (
            JSON.stringify(want) !==
            JSON.stringify(after[key] && { id: after[key].id, ifname: after[key].ifname, podref: after[key].podref })
          )
            return false;
        }
        return plan.doubtful.every(({ from }) => !over.includes(from!.podref));
      }),
    );
    t.pass();
  },
);

for (const { when, room, want } of [
  { when: "there is room for all", room: 2, want: ["3", "4", "1", "2"] },
  { when: "what goes makes room", room: 0, want: ["3", "4", "1"] },
  { when: "the pool is over its size", room: -1, want: ["3", "4"] },
])
  t.test(`withinRoom() when ${when}`, async (t) => {
    const changes = [
      { key: "3", from: recordA },
      { key: "4", from: recordA, to: recordB },
      { key: "1", to: recordA },
      { key: "2", to: recordB },
    ];
    t.same(
      withinRoom(changes, room).map(({ key }) => key),
      want,
    );
  });
