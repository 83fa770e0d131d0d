import type { MetricSources } from "../../../daemonset/metrics/metrics.ts";

/** Routes over rails to one node, so that every metric of them has a series. */
export const ROUTES: MetricSources["routes"] = {
  off: "",
  peers: [
    {
      node: "n",
      primary: "10.99.0.2",
      ways: [{ rail: "rail0", state: "up", isAdmitted: true, forMs: 1, losses: 0 }],
    },
  ],
  refused: [],
  questions: 1,
  answers: 1,
  changes: 1,
};
