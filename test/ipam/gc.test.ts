// What GC releases: of its own network alone, and only by a list.
import t from "tap";
import { nodesOf, type VerbsNode } from "./support/verbs-node.ts";

for (const { when, valid, left } of [
  { when: "without a list nothing: it says nothing about what is valid", valid: undefined, left: [true, true, true] },
  { when: "with an empty list all of its network", valid: [], left: [false, false, true] },
  { when: "what its list leaves out", valid: ["c2"], left: [false, true, true] },
] as { when: string; valid?: string[]; left: boolean[] }[])
  t.test(`GC releases ${when}`, async (t) => {
    const [node] = nodesOf(t, "node-a") as [VerbsNode];
    const ips = [await node.add("c1", "u1"), await node.add("c2", "u2"), await node.add("c3", "u3", "rail1")];
    await node.gc("rail0", valid);
    const held = await Promise.all(ips.map(async (ip) => (await node.holder(ip)) !== undefined));
    t.same(held, left);
  });
