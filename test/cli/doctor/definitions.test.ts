import t from "tap";
import { definitionFindings } from "../../../cli/doctor/definitions.ts";
import type { Resource } from "../../../kubernetes/cluster.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects of both kinds
type Json = any;

/** A cluster whose definitions drop these fields, and what it was asked. */
function clusterOf(dropped: Readonly<Record<string, readonly string[]>> = {}) {
  const asked: string[] = [];
  const without = (object: Json, plural: string): Json =>
    Object.fromEntries(Object.entries(object).filter(([name]) => !dropped[plural]?.includes(name)));
  const create = async ({ plural }: Resource, { spec, ...rest }: Json, { isDryRun = false } = {}) => {
    asked.push(`${plural} ${isDryRun}`);
    if (plural !== "ippools") return { ...rest, spec: without(spec, plural) };
    const kept = Object.entries(spec.allocations).map(([key, record]) => [key, without(record, plural)]);
    return {
      ...rest,
      spec: {
        ...without(spec, plural),
        ...(!dropped[plural]?.includes("allocations") && { allocations: Object.fromEntries(kept) }),
      },
    };
  };
  return { cluster: { create } as Json, asked };
}

t.test("doctor: definitions that keep what a claim says are well", async (t) => {
  const { cluster, asked } = clusterOf();
  t.match(await definitionFindings(cluster), [{ check: "definitions", is: "ok" }]);
  t.same(asked.toSorted(), ["ippools true", "overlappingrangeipreservations true"], "dry runs alone");
});

t.test("doctor names each definition that prunes, what it drops, and the manifest that mends it", async (t) => {
  const { cluster } = clusterOf({ overlappingrangeipreservations: ["podref"], ippools: ["podref", "ifname"] });
  const found = await definitionFindings(cluster);
  t.match(found, [
    { check: "definitions", is: "wrong", says: /of overlappingrangeipreservations drops podref,.*kubectl apply -f manifests\/crds/ },
    { check: "definitions", is: "wrong", says: /of ippools drops ifname, podref,.*kubectl apply -f manifests\/crds/ },
  ]); // biome-ignore format: one row each
  t.equal(found.length, 2);
});

t.test("doctor: one that drops all records does not end the look", async (t) => {
  const { cluster } = clusterOf({ ippools: ["allocations"] });
  t.match(await definitionFindings(cluster), [{ is: "wrong", says: /of ippools drops id, ifname, podref/ }]);
});
