import type { RoutesReport, WayReport } from "../routes/order.ts";
import { type Family, single } from "./family.ts";

/** How a way to a peer is counted. */
const countedAs = ({ state, isAdmitted }: WayReport): string => {
  if (state === "down" || state === "trial") return state;
  return isAdmitted ? "used" : "refused";
};

/** For a node's routes over rails; without any the counters are 0. */
export function routeFamilies(report: RoutesReport | undefined): Family[] {
  const ways = report?.peers.flatMap((peer) => peer.ways) ?? [];
  const rails = Map.groupBy(ways, ({ rail }) => rail);
  const states = ["used", "refused", "trial", "down"];
  const count = (rail: string, state: string) => rails.get(rail)!.filter((way) => countedAs(way) === state).length;
  const { questions = 0, answers = 0, changes = 0 } = report ?? {};
  return [
    {
      name: "railnet_node_ways",
      help: "Ways to other nodes by each rail: used, refused (the peer takes in nothing that comes by it), trial (answers again) and down",
      type: "gauge",
      values: [...rails.keys()].flatMap((rail) =>
        states.map((state) => ({ labels: { rail, state }, value: count(rail, state) })),
      ),
    },
    single("counter", "railnet_node_questions_total", "Questions to neighbours on the rails", questions),
    single("counter", "railnet_node_answers_total", "Answers to these", answers),
    single("counter", "railnet_node_route_changes_total", "Routes over rails that were written or deleted", changes),
  ];
}
