import t from "tap";
import { explain } from "../../../cli/routes/explain.ts";
import type { PeerReport, RoutesReport, WayReport } from "../../../daemonset/routes/order.ts";

const way = (k: number, more: Partial<WayReport> = {}): WayReport => ({
  ...{ rail: `rail${k}`, state: "up", isAdmitted: true, forMs: 60_000, losses: 0 },
  ...more,
});
const of = (ways: readonly WayReport[], more: Partial<RoutesReport> = {}, peer: Partial<PeerReport> = {}): RoutesReport => ({
  ...{ off: "", refused: [], questions: 0, answers: 0, changes: 0 },
  ...{ peers: [{ node: "node-7", primary: "10.99.0.7", ways, ...peer }], ...more },
}); // biome-ignore format: rows

for (const { when, report, want } of [
  { when: "are off", report: of([], { off: "no link has it" }), want: [/^no routes over rails: no link has it$/] },
  { when: "are whole", report: of([way(1), way(2)]), want: [/goes by 2 of 2 rails/, /rail1: used for 60 s$/, /rail2: used/] },
  { when: "lack a cable", report: of([way(1, { state: "down", forMs: 9_000, losses: 3 }), way(2)]), want: [/by 1 of 2 rails/, /rail1: not used: no answer to ARP for 9 s: look at the cable.* \(lost 3 times lately\)/, /rail2: used/] },
  { when: "are coming back", report: of([way(1, { state: "trial" })]), want: [/goes by the normal network/, /rail1: not used: it answers again/] },
  { when: "are refused there", report: of([way(1, { isAdmitted: false })]), want: [/normal network/, /rail1: not used: it answers ARP there/] },
  { when: "miss an answer", report: of([way(1, { state: "suspect" })]), want: [/by 1 of 1 rails/, /rail1: used, and being asked again/] },
  { when: "give way to another route", report: of([way(1)], {}, { foreign: 4 }), want: [/somebody else's.*proto 4$/, /rail1/] },
  { when: "lack a rail by its MTU", report: of([way(1)], { refused: [{ peer: "node-7", rail: "rail2", why: "mtu 1500: …" }] }), want: [/by 1 of 2 rails/, /rail1: used/, /rail2: not used: mtu 1500/] },
  { when: "are refused as a whole", report: of([], { peers: [], refused: [{ peer: "node-7", why: "primary: taken" }] }), want: [/node-7 goes by the normal network$/, /primary: taken/] },
  { when: "have no RailPeer", report: of([], { peers: [] }), want: [/it has no RailPeer/] },
]) // biome-ignore format: rows
  t.test(`explain() says why where ways ${when}`, async (t) => t.match(explain(report, "node-7").split("\n"), want));
