import type { Counters } from "../addresses/counters.ts";
import type { Family } from "./family.ts";

/** The result of the leader's comparison of the nodes. */
export const railNodeFamilies = ({ nodesCompared, nodesOdd }: Counters): Family[] => [
  {
    name: "railnet_rail_nodes",
    help: "Nodes with rails that the leader compared: those that are like the others, and those that are not in some fact (railnet nodes says in which); 0 where another node leads",
    type: "gauge",
    values: [
      { labels: { is: "alike" }, value: nodesCompared - nodesOdd },
      { labels: { is: "odd" }, value: nodesOdd },
    ],
  },
];
