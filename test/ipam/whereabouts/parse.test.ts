import t from "tap";
import { addressesOf } from "../../../cli/ipam/addresses.ts";
import { locate } from "../../../cli/ipam/snapshot.ts";
import { judge } from "../../../daemonset/addresses/leader/plan-adopt.ts";
import { planView } from "../../../daemonset/addresses/leader/plan-view.ts";
import { PoolView } from "../../../ipam/store/kubernetes/pool-view.ts";
import type { IpPool, NodeSlicePool, Reservation } from "../../../ipam/whereabouts/objects.ts";
import { ownerOfReservation } from "../../../ipam/whereabouts/objects.ts";
import { parseStored } from "../../../ipam/whereabouts/parse.ts";
import { IP_POOLS, type KubeObject, NODE_SLICE_POOLS, PODS, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import * as fc from "../../../lab/properties.ts";

const metadata = { name: "10.0.0.0-24", namespace: "kube-system" };
const stored = (more: object): KubeObject => ({ metadata, ...more });
const pool = (allocations: unknown, range: unknown = "10.0.0.0/24") =>
  parseStored(IP_POOLS, stored({ spec: { range, allocations } })) as IpPool;
const reservation = (spec: unknown, name = "10.0.0.1") =>
  parseStored(RESERVATIONS, { ...stored({ spec }), metadata: { ...metadata, name } }) as Reservation;

t.test("parseStored() leaves what is whole as it is, and other resources alone", async (t) => {
  const whole = stored({ spec: { range: "10.0.0.0/24", allocations: { 1: { id: "c", podref: "a/b" } } } });
  t.equal(parseStored(IP_POOLS, whole), whole);
  const claim = stored({ spec: { podref: "a/b", ifname: "net1" } });
  t.equal(parseStored(RESERVATIONS, claim), claim);
  const pod = stored({ spec: 5 });
  t.equal(parseStored(PODS, pod), pod);
});

t.test("parseStored() of records without podref, as old definitions left them", async (t) => {
  const { spec } = pool({ 1: { id: "c" }, 2: {}, 3: null, 4: { id: 5, podref: [] } });
  const nobody = { id: "", podref: "" };
  t.same(spec.allocations, { 1: { id: "c", podref: "" }, 2: nobody, 3: nobody, 4: nobody });
  t.equal(ownerOfReservation(reservation({ ifname: "net1" })).podref, "");
  t.same(reservation(undefined).spec, { podref: "", ifname: "", containerid: "" });
});

t.test("parseStored() of slices keeps every entry in its place", async (t) => {
  const status = { allocations: [{ nodeName: "a", sliceRange: "10.0.0.0/26" }, null, { nodeName: 5 }] };
  const parsed = parseStored(NODE_SLICE_POOLS, stored({ spec: {}, status })) as NodeSlicePool;
  t.same(parsed.status?.allocations, [
    { nodeName: "a", sliceRange: "10.0.0.0/26" },
    { nodeName: "", sliceRange: "" },
    { nodeName: "", sliceRange: "" },
  ]);
});

t.test("parseStored() of a whole list leaves it as it is, and mends one with a single broken entry", async (t) => {
  const spec = { range: "10.0.0.0/24", sliceSize: "/26" };
  const whole = { nodeName: "a", sliceRange: "10.0.0.0/26" };
  const listOf = (...allocations: object[]) => stored({ spec, status: { allocations } });
  const good = listOf(whole, { ...whole, nodeName: "" });
  t.equal(parseStored(NODE_SLICE_POOLS, good), good);
  for (const broken of [
    { nodeName: "b" },
    { sliceRange: "10.0.0.64/26" },
    { nodeName: 5, sliceRange: "10.0.0.64/26" },
  ]) {
    const { status } = parseStored(NODE_SLICE_POOLS, listOf(whole, broken)) as NodeSlicePool;
    t.same(Object.keys(status!.allocations[1]!).sort(), ["nodeName", "sliceRange"]);
    t.ok(status!.allocations.every((one) => typeof one.nodeName === "string" && typeof one.sliceRange === "string"));
    t.same(status!.allocations[0], whole);
  }
  for (const odd of [{ ...spec, range: 5 }, { range: spec.range }]) {
    const parsed = parseStored(
      NODE_SLICE_POOLS,
      stored({ spec: odd, status: { allocations: [whole] } }),
    ) as NodeSlicePool;
    t.match(parsed, { spec: { range: /.*/, sliceSize: /.*/ }, status: { allocations: [whole] } });
  }
});

t.test("an address of somebody unknown is taken, listed, never an owner's, and no conflict", async (t) => {
  const object = pool({ 1: { id: "c" } });
  const own = { name: "10.0.0.0-24", cidr: "10.0.0.0/24", network: "", overlapping: true };
  t.ok(new PoolView(own, object).taken("lowest").has(0x0a000001n));
  const snapshot = { mode: "absent" as const, ...locate([object], [], [reservation({}, "10.0.0.2")]) };
  t.same(
    addressesOf(snapshot).map(({ ip, podref, by }) => [ip, podref, by]),
    [
      ["10.0.0.1", "", "record"],
      ["10.0.0.2", "", "reservation"],
    ],
  );
  const record = object.spec.allocations["1"]!;
  t.equal(judge(record, reservation({ podref: "a/b" })), "fill", "the reservation knows whose it is");
  t.equal(judge({ id: "c", podref: "a/b" }, reservation({})), "fill", "the record knows");
  t.equal(judge({ id: "c", podref: "a/b" }, reservation({ podref: "a/c" })), "conflict");
  const known = { podref: "a/b", ifname: "net1", containerId: "d" };
  const plan = planView(new Map([["1", known]]), new Map([["1", record]]), () => false);
  t.equal(plan.changes[0]?.to?.podref, "a/b", "the view shows what the reservation knows");
});

const json = fc.jsonValue();
const RESOURCES = [IP_POOLS, RESERVATIONS, NODE_SLICE_POOLS] as const;

t.test("parseStored() makes every JSON an object of its kind, twice the same", async () => {
  fc.assert(
    fc.property(fc.constantFrom(...RESOURCES), json, json, json, (resource, spec, allocations, status) => {
      const mixed = typeof spec === "object" && spec && !Array.isArray(spec) ? { ...spec, allocations } : spec;
      const once = parseStored(resource, stored({ spec: mixed, status }));
      if (JSON.stringify(parseStored(resource, once)) !== JSON.stringify(once)) return false;
      if (resource === RESERVATIONS) return typeof (once as Reservation).spec.podref === "string";
      if (resource === NODE_SLICE_POOLS)
        return (once as NodeSlicePool).status!.allocations.every(({ nodeName }) => typeof nodeName === "string");
      const { range, allocations: all } = (once as IpPool).spec;
      return (
        typeof range === "string" && Object.values(all).every(({ id, podref }) => typeof (id + podref) === "string")
      );
    }),
    { numRuns: 500 },
  );
});
