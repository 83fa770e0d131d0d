import t from "tap";
import { toPatch } from "../../../daemonset/addresses/leader/plan-view.ts";
import { operations } from "../../../ipam/store/kubernetes/record-change.ts";
import { toRecord } from "../../../ipam/whereabouts/objects.ts";
import { parseRecord } from "../../../ipam/whereabouts/parse.ts";
import { addition, handOver, removal, replacement } from "../../../ipam/whereabouts/record-patch.ts";
import type { JsonPatch } from "../../../kubernetes/cluster.ts";
import * as fc from "../../../lab/properties.ts";

type Stored = Record<string, Record<string, unknown>>;

/** RFC 6902 on allocations as the API server applies it, of which a `test` of null passes on a missing member. Undefined: refused. */
function apply(stored: Stored, patch: JsonPatch): Stored | undefined {
  const now: Stored = structuredClone(stored);
  for (const operation of patch) {
    const [key = "", member] = operation.path.replace("/spec/allocations/", "").split("/");
    const there = member === undefined ? now[key] : now[key]?.[member];
    if (operation.op === "test" && JSON.stringify(there ?? null) !== JSON.stringify(operation.value)) return undefined;
    if ((operation.op === "replace" || operation.op === "remove") && there === undefined) return undefined;
    if (operation.op === "remove") delete now[key];
    else if (operation.op !== "test" && member === undefined) now[key] = operation.value as Record<string, unknown>;
    else if (operation.op !== "test") now[key]![member!] = operation.value;
  }
  return now;
}

/** As they are stored: each member there, empty, or missing. */
const member = (...texts: string[]) => fc.option(fc.constantFrom("", ...texts), { nil: undefined });
const raw = fc
  .record({ id: member("c1", "c2"), ifname: member("net1", "net2"), podref: member("a/p", "a/q") })
  .map((record) => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)));
const says = (record: Record<string, unknown>) => Object.values(record).some((value) => value !== "");
const owner = fc.record({
  podref: fc.constantFrom("a/p", "a/q"),
  ifname: fc.constantFrom("net1", ""),
  containerId: fc.constantFrom("c1", "c3"),
});
const equal = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

t.test(
  "patches of a record do to it what they say, whatever members it lacks, and nothing to its neighbours",
  async () => {
    fc.assert(
      fc.property(raw, raw, owner, (there, beside, to) => {
        const [stored, from, record] = [{ 5: there, 6: beside }, parseRecord(there), toRecord(to)];
        const whole = says(there) || !("podref" in there);
        if (!equal(apply({ 6: beside }, addition("5", record)), { 5: record, 6: beside })) return false;
        if (apply(stored, addition("5", record)) !== undefined) return false;
        if (!whole) return true; // it says explicitly that it says nothing: left alone
        if (!equal(apply(stored, removal("5", from, "all")), { 6: beside })) return false;
        if (!equal(apply(stored, replacement("5", from, record, "all")), { 5: record, 6: beside })) return false;
        return apply({ 6: beside }, removal("5", from, "all")) === undefined;
      }),
      { numRuns: 500 },
    );
  },
);

t.test("patches of a record fail when it is another one's by now", async () => {
  fc.assert(
    fc.property(raw, raw, (before, after) => {
      const from = parseRecord(before);
      const isOther = (["id", "ifname", "podref"] as const).some(
        (name) => from[name] && from[name] !== (after[name] ?? ""),
      );
      if (!isOther) return true;
      return [removal("5", from, "all"), replacement("5", from, from, "all")].every(
        (patch) => apply({ 5: after }, patch) === undefined,
      );
    }),
    { numRuns: 500 },
  );
});

t.test("handOver() changes the sandbox alone", async (t) => {
  const from = { id: "old", ifname: "net1", podref: "a/p" };
  t.same(apply({ 5: from }, handOver("5", from, "new")), { 5: { ...from, id: "new" } });
  t.equal(apply({ 5: { ...from, id: "other" } }, handOver("5", from, "new")), undefined);
  t.equal(apply({ 5: { ...from, podref: "a/q" } }, handOver("5", from, "new")), undefined);
});

t.test("the store and the agent write the same record", async (t) => {
  const owner = { podref: "a/p", ifname: "net1", containerId: "c" };
  const byStore = apply({}, operations({ kind: "write", key: "5", owner }, undefined));
  const byAgent = apply({}, toPatch([{ key: "5", to: toRecord(owner) }]));
  t.same(byStore, byAgent);
  t.same(apply(byAgent!, operations({ kind: "remove", key: "5", owner }, undefined)), {});
  t.same(apply(byStore!, toPatch([{ key: "5", from: toRecord(owner) }])), {});
});
