import t from "tap";
import { renderFamilies } from "../../../daemonset/metrics/family.ts";
import { RdmaReadings, rdmaFamilies } from "../../../daemonset/metrics/rdma.ts";
import type { CarryOut, RailOrder } from "../../../daemonset/rails/orders.ts";
import { readExposition } from "../support/exposition.ts";
import { RDMA_READING } from "../support/rdma-reading.ts";

t.test("each rail of each pod has its own series, and so has its PF", async (t) => {
  const other = { ...RDMA_READING, pf: "ens2", pods: RDMA_READING.pods.map(({ rail: _, ...one }) => one) };
  const families = rdmaFamilies([RDMA_READING, other], (pf) => `of-${pf}`);
  const series = readExposition(renderFamilies(families));
  for (const [key, value] of Object.entries({
    'railnet_pod_rdma_bytes_total{direction="sent",interface="rail0",namespace="team",pod="job-0",rail="blue0"}': 400,
    'railnet_pod_rdma_bytes_total{direction="received",interface="rail0",namespace="team",pod="job-0",rail="of-ens2"}': 800,
    'railnet_pod_rdma_packets_total{direction="sent",interface="rail0",namespace="team",pod="job-0",rail="blue0"}': 5,
    'railnet_pf_nic_events_total{event="tx_discards_phy",pf="ens1",rail="of-ens1"}': 1,
    'railnet_pf_carrier_changes_total{pf="ens1",rail="of-ens1"}': 3,
  }))
    t.equal(series.get(key), value, key);
  t.ok(series.size < 150, "bounded: two lists of events, two directions");
});

t.test("a PF whose driver is stuck is missing, keeps no scrape waiting, and is asked once", async (t) => {
  const asked: string[] = [];
  const { promise: stuck, resolve } = Promise.withResolvers<null>();
  const carryOut = ((order: Extract<RailOrder, { do: "read-rdma" }>) => {
    asked.push(order.pf);
    return order.pf === "b" ? stuck : order.pf === "c" ? Promise.reject(new Error("no")) : Promise.resolve(RDMA_READING); // biome-ignore format: one row
  }) as unknown as CarryOut;
  const readings = new RdmaReadings(carryOut, 20);
  t.same(await readings.read(["a", "b", "c"]), [RDMA_READING]);
  t.same(await readings.read(["a", "b"]), [RDMA_READING]);
  t.same(asked, ["a", "b", "c", "a"]);
  resolve(null);
  t.same(await readings.read(["a"]), [RDMA_READING]);
  await readings.read(["b"]);
  t.equal(asked.at(-1), "b", "again once it has answered");
});
