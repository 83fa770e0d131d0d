import t from "tap";
import { routeFindings } from "../../../cli/doctor/routes.ts";
import type { RoutesReport, WayReport } from "../../../daemonset/routes/order.ts";

const way = (rail: string, more: Partial<WayReport> = {}): WayReport => ({
  ...{ rail, state: "up", isAdmitted: true, forMs: 1, losses: 0 },
  ...more,
});
const DOWN = { state: "down" } as const;
const of = (peers: readonly (readonly WayReport[])[], more: Partial<RoutesReport> = {}): RoutesReport => ({
  ...{ off: "", refused: [], questions: 0, answers: 0, changes: 0 },
  peers: peers.map((ways, i) => ({ node: `node-${i}`, primary: `10.99.0.${i}`, ways })),
  ...more,
});

for (const { when, report, want } of [
  { when: "nobody asks for them", report: null, want: [] },
  { when: "all is well", report: of([[way("a"), way("b")]]), want: [{ is: "ok", says: /1 nodes are reached/ }] },
  { when: "there are none", report: of([], { off: "no link has it" }), want: [{ is: "wrong", says: /no link has it/ }] },
  { when: "a rail reaches nobody", report: of([[way("a"), way("b", DOWN)], [way("a"), way("b", DOWN)]]), want: [{ is: "wrong", says: /^0 of 2 nodes are reached by b: look at its carrier/ }] },
  { when: "one peer is gone", report: of([[way("a")], [way("a")], [way("a", DOWN)]]), want: [{ is: "ok" }] },
  { when: "a peer refuses", report: of([[way("a")], [way("a", { isAdmitted: false })]]), want: [{ is: "note", says: /^1 nodes take in nothing that comes by a/ }] },
  { when: "all peers refuse", report: of([[way("a", { isAdmitted: false })]]), want: [{ is: "note", says: /rp_filter/ }] },
  { when: "another route is there", report: of([], { peers: [{ node: "node-9", primary: "10.99.0.9", ways: [], foreign: 4 }] }), want: [{ is: "note", says: /another route to node-9 is left alone/ }] },
  { when: "many are refused", report: of([], { refused: Array.from({ length: 7 }, (_, i) => ({ peer: `n${i}`, why: "mtu" })) }), want: [{ is: "note", says: /^not used: n0: mtu; .*n4: mtu and 2 more$/ }] },
]) // biome-ignore format: rows
  t.test(`routeFindings() where ${when}`, async (t) => t.match(routeFindings(report), want));
