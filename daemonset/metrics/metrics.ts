import type { Paths } from "../../cni/host.ts";
import type { Counters } from "../addresses/counters.ts";
import type { RoutesReport } from "../routes/order.ts";
import { addressFamilies } from "./addresses.ts";
import { ApiCounts } from "./api-counts.ts";
import { CallCounts } from "./call-counts.ts";
import { type Family, renderFamilies } from "./family.ts";
import { nodeFamilies } from "./node.ts";
import { processFamilies } from "./process.ts";
import { railNodeFamilies } from "./rail-nodes.ts";
import { rdmaFamilies } from "./rdma.ts";
import type { RdmaReading } from "./read-rdma.ts";
import { RepairCounts } from "./repair-counts.ts";
import { routeFamilies } from "./routes.ts";

/** The sources of the metrics at the time of a scrape. */
export interface MetricSources {
  readonly paths: Paths;
  /** Name of a PF's rail; the PF's own name if no rail is configured. */
  railOf(pf: string): string;
  readonly addresses: { readonly counters: Counters; pending(): number };
  /** Absent where there are no routes over rails. */
  readonly routes?: RoutesReport | undefined;
  /** RDMA counters, of those PFs that have answered. */
  readonly rdma: readonly RdmaReading[];
  readonly events: { readonly counts: { readonly sent: number; readonly dropped: number; readonly waiting: number } };
}

/** Everything that the agent counts. Counting only adds to numbers; the scrape does the rest. */
export class Metrics {
  readonly calls = new CallCounts();
  readonly api = new ApiCounts();
  readonly repairs = new RepairCounts();

  /** The text of `/metrics`. */
  render(sources: MetricSources): string {
    return renderFamilies(this.families(sources));
  }

  families({ paths, railOf, addresses, routes, rdma, events }: MetricSources): Family[] {
    return [
      ...this.calls.families(),
      ...nodeFamilies(paths, railOf),
      ...this.repairs.families(),
      ...addressFamilies(addresses.counters, addresses.pending()),
      ...railNodeFamilies(addresses.counters),
      ...routeFamilies(routes),
      ...rdmaFamilies(rdma, railOf),
      ...this.api.families(),
      ...eventFamilies(events.counts),
      ...processFamilies(),
    ];
  }
}

const eventFamilies = ({ sent, dropped, waiting }: MetricSources["events"]["counts"]): Family[] => [
  {
    name: "railnet_events_total",
    help: "Kubernetes events: writes to the API server (sent), and events that waited too long (dropped)",
    type: "counter",
    values: [
      { labels: { result: "sent" }, value: sent },
      { labels: { result: "dropped" }, value: dropped },
    ],
  },
  {
    name: "railnet_events_waiting",
    help: "Kubernetes events that wait to be written",
    type: "gauge",
    values: [{ value: waiting }],
  },
];
