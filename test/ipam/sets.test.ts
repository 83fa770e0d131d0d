// Addresses for the rails of a set, which are asked for at once.
import t from "tap";
import { nodesOf, type VerbsNode } from "./support/verbs-node.ts";

const RANGES = ["10.40.0.0/24", "10.41.0.0/24", "10.42.0.0/24"];
const SAME = { same_index: true };

t.test("with same_index all rails have the first one's place, however many sets come at once", async (t) => {
  const [node] = nodesOf(t, "node-a") as [VerbsNode];
  await node.add("c1", "u1"); // has a place of the first range alone
  const ids = Array.from({ length: 12 }, (_, i) => `c${10 + i}`);
  const all = await Promise.all(ids.map((id) => node.addSet(id, RANGES, SAME)));
  const places = all.map((set) => set.map((address) => address.split(/[./]/)[3]));
  t.same(
    places.filter((set) => new Set(set).size > 1),
    [],
  );
  t.equal(new Set(places.map(([place]) => place)).size, ids.length);
});

t.test("where the first rail's place is taken on another, that one has another place", async (t) => {
  const [node] = nodesOf(t, "node-a") as [VerbsNode];
  await node.add("c1", "u1");
  t.same(await node.addSet("c2", [RANGES[1]!, RANGES[0]!], SAME), ["10.41.0.1/24", "10.40.0.2/24"]);
});

t.test("a first rail that gets none leaves the others without, and no other set", async (t) => {
  const [node] = nodesOf(t, "node-a") as [VerbsNode];
  const small = ["10.43.0.0/30", ...RANGES.slice(1)];
  for (const id of ["c1", "c2"]) await node.addSet(id, small, SAME);
  const [first, ...others] = await node.addSet("c3", small, SAME);
  t.match(first, /10\.43\.0\.0/);
  t.same(others, [first, first]);
  t.same(await node.addSet("c4", RANGES.slice(1), SAME), ["10.41.0.3/24", "10.42.0.3/24"]);
});

t.test("GC knows a set by the name that the runtime has for it", async (t) => {
  const [node] = nodesOf(t, "node-a") as [VerbsNode];
  await node.addSet("c1", RANGES, SAME);
  await node.addSet("c2", RANGES, SAME);
  await node.gc("rails", ["c2"]);
  t.equal(await node.holder("10.40.0.1"), undefined);
  t.equal(await node.holder("10.40.0.2"), "c2");
});
