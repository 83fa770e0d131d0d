// Whose address goes over to whom, by the verbs themselves: nodes that share one store.
import t from "tap";
import { nodesOf, type VerbsNode } from "./support/verbs-node.ts";

t.test("ADD of a pod made anew elsewhere leaves the address to the sandbox that may still live", async (t) => {
  const [a, b] = nodesOf(t, "node-a", "node-b") as [VerbsNode, VerbsNode];
  const first = await a.add("c1", "uid-1");
  const second = await b.add("c2", "uid-2"); // node-a is cut off; the pod was deleted by force
  t.not(second, first);
  t.equal(await a.add("c3", "uid-1"), first, "node-a is back: a new sandbox of the old pod");
  for (const id of ["c1", "c3"]) await a.del(id, "uid-1");
  t.equal(await b.holder(second), "c2", "nothing is taken from the new one");
  t.equal(await b.holder(first), undefined);
  await b.del("c2", "uid-2");
  t.equal(await b.holder(second), undefined);
});

t.test("ADD of a pod of the same name on the same node takes the address of a sandbox that is over", async (t) => {
  const [a] = nodesOf(t, "node-a") as [VerbsNode];
  const first = await a.add("c1", "uid-1");
  t.not(await a.add("c2", "uid-2"), first, "not while its namespace is there");
  a.die("c1");
  t.equal(await a.add("c3", "uid-3"), first);
  await a.del("c1", "uid-1");
  t.equal(await a.holder(first), "c3", "a late DEL of the first one changes nothing");
});
