import type { RdmaCounts } from "../../kernel/rdma-counters.ts";
import type { CarryOut } from "../rails/orders.ts";
import type { Family, Sample } from "./family.ts";
import type { PodRdma, RdmaReading } from "./read-rdma.ts";

/** A scrape waits so long for a driver. */
const PATIENCE_MS = 1_000;

/** Asks the kernel threads of the PFs, beside each other. One that is stuck is not asked again before it has answered. */
export class RdmaReadings {
  readonly #carryOut: CarryOut;
  readonly #asked = new Map<string, Promise<RdmaReading | undefined>>();
  readonly #patienceMs: number;

  constructor(carryOut: CarryOut, patienceMs = PATIENCE_MS) {
    this.#carryOut = carryOut;
    this.#patienceMs = patienceMs;
  }

  /** @param pfs their PCI addresses. Those that do not answer in time are missing. */
  async read(pfs: readonly string[]): Promise<readonly RdmaReading[]> {
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(resolve, this.#patienceMs, undefined);
    const all = await Promise.all(pfs.map((pf) => Promise.race([this.#ask(pf), late])));
    clearTimeout(timer);
    return all.filter((one) => one !== undefined);
  }

  #ask(pf: string): Promise<RdmaReading | undefined> {
    const asking =
      this.#asked.get(pf) ??
      this.#carryOut({ do: "read-rdma", pf })
        .then((reading) => reading ?? undefined)
        .catch(() => undefined)
        .finally(() => this.#asked.delete(pf));
    this.#asked.set(pf, asking);
    return asking;
  }
}

/** One set of labels for each rail of each pod that there is. Pure. */
export function rdmaFamilies(readings: readonly RdmaReading[], railOf: (pf: string) => string): Family[] {
  const pods = readings.flatMap(({ pf, pods }) => pods.map((one) => ({ labels: labelsOf(one, railOf(pf)), counts: one.counts }))); // biome-ignore format: one row
  const ofPods = (samples: (counts: RdmaCounts) => readonly Sample[]): Sample[] =>
    pods.flatMap(({ labels, counts }) => samples(counts).map((one) => ({ ...one, labels: { ...labels, ...one.labels } }))); // biome-ignore format: one row
  const ofPf = ({ pf }: RdmaReading) => ({ rail: railOf(pf), pf });
  return [
    {
      name: "railnet_pod_rdma_bytes_total",
      help: "Bytes that a pod's RDMA device sent and received, by pod and rail",
      type: "counter",
      values: ofPods(({ sentBytes, receivedBytes }) => directions(sentBytes, receivedBytes)),
    },
    {
      name: "railnet_pod_rdma_packets_total",
      help: "Packets that a pod's RDMA device sent and received, by pod and rail",
      type: "counter",
      values: ofPods(({ sentPackets, receivedPackets }) => directions(sentPackets, receivedPackets)),
    },
    {
      name: "railnet_pod_rdma_events_total",
      help: "What a pod's RDMA device counts of loss, time-outs and congestion, by the driver's names",
      type: "counter",
      values: ofPods(({ events }) => eventsOf(events)),
    },
    {
      name: "railnet_pf_rdma_events_total",
      help: "The same of a PF's own RDMA device",
      type: "counter",
      values: readings.flatMap((one) =>
        eventsOf(one.counts?.events ?? {}).map((sample) => ({ ...sample, labels: { ...ofPf(one), ...sample.labels } })),
      ),
    },
    {
      name: "railnet_pf_nic_events_total",
      help: "What a PF counts of discards, pauses, broken frames and lost links, by its driver's names (ethtool -S)",
      type: "counter",
      values: readings.flatMap((one) =>
        eventsOf(one.nic).map((sample) => ({ ...sample, labels: { ...ofPf(one), ...sample.labels } })),
      ),
    },
    {
      name: "railnet_pf_carrier_changes_total",
      help: "How often a PF's link lost or got its carrier since it was made",
      type: "counter",
      values: readings.map((one) => ({ labels: ofPf(one), value: one.carrierChanges })),
    },
  ];
}

function labelsOf({ pod, interface: name, rail }: PodRdma, railOfPf: string): Readonly<Record<string, string>> {
  const [namespace = "", own = ""] = pod.split("/");
  return { namespace, pod: own, interface: name, rail: rail ?? railOfPf };
}

const directions = (sent: number | undefined, received: number | undefined): Sample[] => [
  ...(sent === undefined ? [] : [{ labels: { direction: "sent" }, value: sent }]),
  ...(received === undefined ? [] : [{ labels: { direction: "received" }, value: received }]),
];

const eventsOf = (events: RdmaCounts["events"]): Sample[] =>
  Object.entries(events).map(([event, value]) => ({ labels: { event }, value }));
