import type { RdmaReading } from "../../../daemonset/metrics/read-rdma.ts";
import { NIC_EVENTS } from "../../../kernel/nic-counters.ts";
import { RDMA_EVENTS } from "../../../kernel/rdma-counters.ts";

const EVENTS = Object.fromEntries(RDMA_EVENTS.map((name, i) => [name, i]));

/** A PF with one pod on it, all that there can be. */
export const RDMA_READING: RdmaReading = {
  pf: "ens1",
  carrierChanges: 3,
  nic: Object.fromEntries([...NIC_EVENTS].slice(0, 25).map((name, i) => [name, i])),
  counts: { events: EVENTS },
  pods: [
    {
      pod: "team/job-0",
      interface: "rail0",
      rail: "blue0",
      counts: { sentBytes: 400, receivedBytes: 800, sentPackets: 5, receivedPackets: 6, events: EVENTS },
    },
  ],
};
