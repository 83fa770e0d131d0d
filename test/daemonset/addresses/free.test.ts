// What is left of an address that the agents free, by what decides in its pool.
import t from "tap";
import { AddressEvents } from "../../../daemonset/addresses/address-events.ts";
import type { Context } from "../../../daemonset/addresses/context.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { free } from "../../../daemonset/addresses/free.ts";
import { FreedHistory } from "../../../daemonset/addresses/freed.ts";
import { compactor } from "../../../daemonset/addresses/reserved.ts";
import type { Mode } from "../../../ipam/mode.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import { ownerOf, poolOf } from "../../ipam/store/names.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";

const CIDR = "10.30.0.0/28";
const NAME = "10.30.0.0-28";
const { signal } = new AbortController();

async function world({ overlapping = true, isMarked = false, mode = "absent" as Mode } = {}) {
  const cluster = new MemoryCluster();
  const log = { debug() {}, info() {}, warn() {} };
  const store = new KubernetesStore({ cluster, mode: () => mode, log, createsAdopted: true });
  const pool = poolOf("", CIDR, { overlapping });
  if (isMarked) {
    const metadata = { name: NAME, annotations: { "railnet.io/records-decide": "true" } };
    await cluster.create({ plural: "ippools" } as never, { metadata, spec: { range: CIDR, allocations: {} } } as never);
  }
  t.equal(await store.claim({ pool, ip: "10.30.0.3", owner: ownerOf("gone") }), undefined);
  const freed = new FreedHistory();
  const context = {
    cluster,
    store,
    log,
    mode: () => mode,
    told: new AddressEvents(log, { onPool() {} }, noCounts(), freed),
  };
  const seen = () => compactor()(cluster.read("overlappingrangeipreservations", "10.30.0.3"));
  return {
    cluster,
    store,
    pool,
    seen,
    freed,
    free: (reserved = seen()) =>
      free({ reserved, evidence: "its pod is gone", sinceMs: 0 }, context as unknown as Context, signal),
    records: () => cluster.read("ippools", NAME).spec.allocations ?? {},
    reservations: () => cluster.names("overlappingrangeipreservations"),
  };
}

t.test("free() in a pool whose records decide leaves no record, so that the address is given out again", async (t) => {
  const { free, records, reservations, freed, store, pool } = await world({ isMarked: true });
  t.same(Object.keys(records()), ["3"], "reservation and record stand for the claim");
  await free();
  t.same(reservations(), []);
  t.same(records(), {});
  t.equal(freed.all().length, 1);
  t.equal(await store.claim({ pool, ip: "10.30.0.3", owner: ownerOf("next") }), undefined);
});

t.test("free() there leaves what is another one's by now", async (t) => {
  const { free, seen, store, pool, records, reservations, freed } = await world({ isMarked: true });
  const judged = seen();
  await store.release({ pool, ip: "10.30.0.3", owner: ownerOf("gone") });
  await store.claim({ pool, ip: "10.30.0.3", owner: ownerOf("next") });
  await free(judged);
  t.same(reservations(), ["10.30.0.3"]);
  t.match(records(), { 3: { podref: "team/next" } });
  t.same(freed.all(), []);
});

t.test("free() in an adopted pool is one DELETE, once it is known to be adopted", async (t) => {
  const { free, cluster, reservations } = await world();
  cluster.requests.length = 0;
  await free();
  t.same(reservations(), []);
  t.same(cluster.requests, ["GET ippools 10.30.0.0-28", "DELETE overlappingrangeipreservations 10.30.0.3"]);
});

t.test("free() of an address whose pool is gone takes the reservation", async (t) => {
  const { free, cluster, reservations } = await world();
  await cluster.delete({ plural: "ippools" } as never, NAME);
  await free();
  t.same(reservations(), []);
});

t.test("free() deletes the very object that it judged: by UID, and as it was seen", async (t) => {
  for (const [what, change] of [
    ["made anew", { uid: "another" }],
    ["changed", { resourceVersion: "1" }],
  ] as const) {
    const { free, seen, reservations, freed } = await world();
    const reserved = seen();
    await free({ ...reserved, metadata: { ...reserved.metadata, ...change } });
    t.same(reservations(), ["10.30.0.3"], `what was ${what} meanwhile stays`);
    t.same(freed.all(), []);
  }
});
