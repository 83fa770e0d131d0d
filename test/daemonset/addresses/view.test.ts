import t from "tap";
import { AddressEvents } from "../../../daemonset/addresses/address-events.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { FreedHistory } from "../../../daemonset/addresses/freed.ts";
import { PoolViewWriter } from "../../../daemonset/addresses/leader/view.ts";
import { ADOPTED, type IpPool, toIpPool } from "../../../ipam/whereabouts/objects.ts";
import { IP_POOLS, PODS, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";
import { KeptLog } from "../support/log.ts";

const { signal } = new AbortController();
const [NAME, CIDR] = ["rail0-10.1.0.0-24", "10.1.0.0/24"];
const RECORD = { id: "c1", podref: "default/p1", ifname: "net1" };

t.test("round() comes back for a record whose reservation, made for it, went before it was seen", async (t) => {
  const awake = setInterval(() => {}, 1_000); // what rests between two patches keeps no process alive
  t.teardown(() => clearInterval(awake));
  const cluster = new MemoryCluster();
  const pool = toIpPool(NAME, CIDR, { annotations: { [ADOPTED]: "true" } });
  await cluster.create(IP_POOLS, { ...pool, spec: { ...pool.spec, allocations: { 5: RECORD } } });
  await cluster.create(PODS, { apiVersion: "v1", kind: "Pod", metadata: { name: "p1" } });
  const [log, events, counters] = [new KeptLog(), { onPool() {}, onRailNetwork() {}, onSettings() {} }, noCounts()];
  const told = new AddressEvents(log, events, counters, new FreedHistory());
  const view = new PoolViewWriter({
    name: NAME,
    context: { cluster, log, events, counters, told },
    slices: async () => [],
  });
  const records = async () => (await cluster.get<IpPool>(IP_POOLS, NAME))!.spec.allocations;

  t.equal(await view.round([], signal), "waits", "its pod lives: it gets the reservation that it lacks");
  t.same(cluster.names("overlappingrangeipreservations"), ["rail0-10.1.0.5"]);
  t.same(await records(), { 5: RECORD });

  await cluster.delete(RESERVATIONS, "rail0-10.1.0.5"); // its DEL was late, and no watch showed either
  await cluster.delete(PODS, "p1");
  t.equal(await view.round([], signal), "done");
  t.same(await records(), {});
});
