// What `railnet nodes` says of nodes that are not like the others.
import t from "tap";
import { type NotReady, notReady, reportNodes } from "../../../cli/nodes/report.ts";
import type { Comparison, Odd } from "../../../daemonset/rail-node/drift.ts";
import type { RailNode } from "../../../daemonset/rail-node/object.ts";

type Answer = Comparison & { readonly notReady: readonly NotReady[] };
const answer = (more: Partial<Answer> = {}): Answer => ({
  nodes: ["a", "b", "c"],
  withoutRails: [],
  alike: [],
  odd: [],
  notReady: [],
  ...more,
});
const odd: Odd = { rail: "rail0", fact: "mtu", value: "1500", nodes: ["a"], usual: "9000", usualNodes: 2 };

t.test("reportNodes() tells the odd ones out, who is not ready, and when asked what is the same", async (t) => {
  const all = answer({
    withoutRails: ["d"],
    alike: [{ rail: "rail0", fact: "driver", value: "mlx5_core", count: 3 }],
    odd: [odd, { ...odd, rail: "rail1" }, { ...odd, fact: "firmware", value: "1\u001b[2J", usual: "2", nodes: ["b"] }],
    notReady: [{ node: "c", reason: "NoCarrier", message: "rail1 has no carrier" }],
  });
  const head = "3 nodes with rails; 1 node has no rails: 1 facts are the same on all, 3 are not\n";
  const lines = [
    "The odd ones out:",
    "  a alone: mtu 1500 on rail0, rail1, 2 others 9000",
    "  b alone: firmware 1?[2J on rail0, 2 others 2",
    "",
    "Not ready:",
    "  c: rail1 has no carrier",
  ];
  t.equal(reportNodes(all, false), `${head}\n${lines.join("\n")}\n`);
  const table = "RAIL   FACT    ON ALL     NODES\nrail0  driver  mlx5_core      3\n";
  t.equal(reportNodes(all, true), `${head}\n${lines.join("\n")}\n\n${table}`);
});

for (const { when, given, want } of [
  { when: "nobody has reported", given: answer({ nodes: [] }), want: "no node has reported: agents write RailNodes within a minute\n" },
  { when: "one node is alone", given: answer({ nodes: ["a"] }), want: "1 node with rails: 0 facts are the same on all, 0 are not\n" },
  { when: "one fact is odd", given: answer({ odd: [odd], withoutRails: ["x", "y"] }), want: "3 nodes with rails; 2 nodes have no rails: 0 facts are the same on all, 1 is not\n\nThe odd ones out:\n  a alone: mtu 1500 on rail0, 2 others 9000\n" },
  { when: "none has rails", given: answer({ nodes: [], withoutRails: ["x"] }), want: "0 nodes with rails; 1 node has no rails: 0 facts are the same on all, 0 are not\n" },
]) // biome-ignore format: rows
  t.test(`reportNodes() when ${when}`, async (t) => t.equal(reportNodes(given, false), want));

t.test("notReady() is of nodes whose agent says so", async (t) => {
  const node = (name: string, status?: string) =>
    ({ metadata: { name }, ...(status && { status: { conditions: [{ status, reason: "R", message: "m" }] } }) }) as unknown as RailNode;
  t.same(notReady([node("a", "True"), node("b", "False"), node("c", "Unknown"), node("d")]), [{ node: "b", reason: "R", message: "m" }]);
}); // biome-ignore format: rows
