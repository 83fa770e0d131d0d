import t from "tap";
import { renderFamilies } from "../../../daemonset/metrics/family.ts";
import { routeFamilies } from "../../../daemonset/metrics/routes.ts";
import type { RoutesReport, WayReport } from "../../../daemonset/routes/order.ts";
import { readExposition } from "../support/exposition.ts";

const way = (rail: string, state: WayReport["state"], isAdmitted = true): WayReport => ({ rail, state, isAdmitted, forMs: 1, losses: 0 }); // biome-ignore format: one row

t.test(
  "routeFamilies() count ways by rail: one that is suspect is used, and one that the peer refuses is not",
  async (t) => {
    const peers = [[way("rail0", "up"), way("rail1", "down")], [way("rail0", "suspect"), way("rail1", "up", false)], [way("rail0", "trial", false)]]; // biome-ignore format: one row
    const report: RoutesReport = {
      off: "",
      peers: peers.map((ways, i) => ({ node: `n${i}`, primary: `10.99.0.${i}`, ways })),
      refused: [],
      questions: 9,
      answers: 8,
      changes: 3,
    };
    const series = readExposition(renderFamilies(routeFamilies(report)));
    const ways = (rail: string, state: string) => series.get(`railnet_node_ways{rail="${rail}",state="${state}"}`);
    t.same(["used", "refused", "trial", "down"].map((state) => [ways("rail0", state), ways("rail1", state)]), [[2, 0], [0, 1], [1, 0], [0, 1]]); // biome-ignore format: one row
    t.equal(series.get("railnet_node_route_changes_total"), 3);
  },
);

t.test("routeFamilies() are there without routes, too", async (t) => {
  const series = readExposition(renderFamilies(routeFamilies(undefined)));
  t.same([series.get("railnet_node_questions_total"), series.get("railnet_node_answers_total")], [0, 0]);
});
