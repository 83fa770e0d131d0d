import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { AddressEvents } from "../../../daemonset/addresses/address-events.ts";
import type { Context } from "../../../daemonset/addresses/context.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { FreedHistory } from "../../../daemonset/addresses/freed.ts";
import { LeaderRecords } from "../../../daemonset/addresses/leader/records-leader.ts";
import { NodeRecords } from "../../../daemonset/addresses/node/records-node.ts";
import { reportMode } from "../../../daemonset/addresses/node/report.ts";
import type { Sandboxes } from "../../../daemonset/addresses/node/sandboxes.ts";
import { staticRecords } from "../../../daemonset/addresses/node/static-pods.ts";
import { ClaimJournal, type ClaimRecord } from "../../../ipam/journal.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import type { Pool } from "../../../ipam/store/store.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";

// Addresses that were claimed with enable_overlapping_ranges: false, of which only a record in the pool tells.

const GRACE_MS = 20;
const { signal } = new AbortController();
const pool: Pool = { name: "rail0-10.0.0.0-24", cidr: "10.0.0.0/24", network: "rail0", overlapping: false };
const ownerOf = (id: string) => ({ podref: `default/${id}`, ifname: "net1", containerId: id, node: "node-a" });

/** A cluster, and a node of it whose sandboxes all run. */
function worldOf(stateDir: string) {
  const cluster = new MemoryCluster();
  const log = { debug: () => {}, info: () => {}, warn: () => {} };
  const store = new KubernetesStore({ cluster, mode: () => "absent", log, createsAdopted: true });
  const journal = new ClaimJournal(stateDir);
  const [alive, ended, disputed] = [new Set<string>(), [] as string[], [] as string[]];
  const counters = noCounts();
  const freed = new FreedHistory();
  const told = new AddressEvents(log, { onPool() {} }, counters, freed);
  told.duplicate = ({ ip }) => void disputed.push(ip);
  const context = {
    cluster,
    store,
    log,
    told,
    mode: () => "absent",
  } as unknown as Context;
  const end = async (record: ClaimRecord) => {
    ended.push(record.owner.containerId);
    for (const one of record.addresses) await store.release({ ...one, owner: record.owner });
    journal.forget(record);
  };
  const sandboxes = {
    journal,
    end,
    isAlive: ({ owner }: ClaimRecord) => alive.has(owner.containerId),
  } as unknown as Sandboxes;
  return {
    ...{ cluster, store, journal, alive, ended, disputed, counters },
    node: new NodeRecords(context, sandboxes, GRACE_MS),
    leader: new LeaderRecords(context, (node) => (node === "node-a" ? "ready" : "gone"), GRACE_MS),
    freed: () => freed.all(),
    async add(id: string, ip: string) {
      const owner = ownerOf(id);
      if (await store.claim({ pool, ip, owner })) throw new Error(`${ip} has an owner`);
      const record = {
        version: 1,
        phase: "held",
        network: "rail0",
        storage: { kind: "kubernetes", kubeconfig: "/k" },
        owner,
        netns: `/run/netns/${id}`,
        netnsInode: 7,
        since: "2026-01-01T00:00:00Z",
        addresses: [{ pool, ip }],
      } as const;
      journal.write(record);
      alive.add(id);
    },
    async pod(name: string) {
      await cluster.create({ plural: "pods" } as never, { metadata: { name }, status: { phase: "Running" } } as never);
    },
    records: (): Record<string, { id: string }> => cluster.read("ippools", pool.name).spec.allocations,
  };
}

async function twice(look: () => Promise<void>): Promise<void> {
  await look();
  await sleep(GRACE_MS + 5);
  await look();
}

t.test(
  "NodeRecords.collect() ends what has no DEL once its pod is over, after the second look, and keeps the rest",
  async (t) => {
    const { add, pod, alive, node, records, ended, cluster } = worldOf(t.testdir());
    for (const [i, id] of ["alive", "pod-there", "lost"].entries()) await add(id, `10.0.0.${i + 1}`);
    await node.collect(signal);
    t.notOk(
      cluster.requests.some((request) => request.includes("pods")),
      "nobody is asked about what lives",
    );
    await pod("pod-there");
    for (const id of ["pod-there", "lost"]) alive.delete(id);
    await node.collect(signal);
    t.same(ended, [], "not at the first look");
    await twice(() => node.collect(signal));
    t.same(ended, ["lost"]);
    t.same(
      Object.values(records()).map(({ id }) => id),
      ["alive", "pod-there"],
    );
  },
);

t.test("NodeRecords.heal() puts a record back that somebody removed, and takes none away", async (t) => {
  const { add, alive, node, records, cluster, counters, disputed } = worldOf(t.testdir());
  for (const [i, id] of ["mine", "taken", "dead"].entries()) await add(id, `10.0.0.${i + 1}`);
  alive.delete("dead");
  const other = { id: "other", podref: "default/other", ifname: "net1" };
  const allocations = { 1: null, 2: other, 3: null };
  await cluster.mergePatch({ plural: "ippools" } as never, pool.name, { spec: { allocations } });
  await node.heal(signal);
  t.same(
    Object.values(records()).map(({ id }) => id),
    ["mine", "other"],
  );
  t.same([counters.putBack, disputed], [1, ["10.0.0.2"]]);
});

t.test(
  "LeaderRecords.look() frees records of pods that do not exist, in pools where records decide alone",
  async (t) => {
    const { add, pod, leader, records, freed, cluster } = worldOf(t.testdir());
    for (const [i, id] of ["there", "not-there"].entries()) await add(id, `10.0.0.${i + 1}`);
    await pod("there");
    const seen = () => [cluster.read("ippools", pool.name)];
    await leader.look(seen(), signal);
    t.same(freed(), [], "not at the first look");
    await sleep(GRACE_MS + 5);
    await leader.look(seen(), signal);
    t.same(
      Object.values(records()).map(({ id }) => id),
      ["there"],
    );
    t.match(freed(), [{ podref: "default/not-there", evidence: "its pod does not exist" }]);
    cluster.requests.length = 0;
    await leader.look(
      [{ metadata: { name: "rail1-10.1.0.0-24", annotations: { "railnet.io/adopted": "true" } } }],
      signal,
    );
    t.same(cluster.requests, [], "others are not looked at");
  },
);

t.test("LeaderRecords.look() frees records without ifname, as Whereabouts wrote them before 0.8", async (t) => {
  const { add, pod, leader, records, freed, cluster } = worldOf(t.testdir());
  await add("there", "10.0.0.1");
  await pod("there");
  const old = { 2: { id: "old", podref: "default/not-there" }, 3: { id: "other", podref: "default/there" } };
  await cluster.mergePatch({ plural: "ippools" } as never, pool.name, { spec: { allocations: old } });
  await twice(() => leader.look([cluster.read("ippools", pool.name)], signal));
  t.same(
    Object.values(records()).map(({ id }) => id),
    ["there", "other"],
  );
  t.match(freed(), [{ podref: "default/not-there", ifname: "" }]);
});

t.test(
  "LeaderRecords.look() leaves the record of a static pod that no object shows, as long as its agent has it",
  async (t) => {
    const { add, leader, records, journal, cluster } = worldOf(t.testdir());
    for (const [i, id] of ["static-node-a", "over-node-a", "job"].entries()) await add(id, `10.0.0.${i + 1}`);
    journal.forget(journal.find("over-node-a", "net1")!);
    const held = journal.find("static-node-a", "net1")!;
    const addresses = held.addresses.map((one) => ({ ...one, pool: { ...one.pool, overlapping: true } }));
    journal.update(held, { addresses }); // it says true of a pool whose records decide: it has both
    const report = async () =>
      reportMode(cluster, "node-a", { mode: "absent", statics: await staticRecords(journal, "node-a") });
    const look = () => leader.look([cluster.read("ippools", pool.name)], signal);
    const left = () => Object.values(records()).map(({ id }) => id);
    const heard = async () => {
      await report();
      await look();
    };
    await twice(heard);
    t.same(left(), ["static-node-a"], "what it does not name goes");
    await sleep(7 * GRACE_MS);
    await twice(look);
    t.same(left(), ["static-node-a"], "and while the agent is silent");
    journal.forget(journal.find("static-node-a", "net1")!);
    await twice(heard);
    t.same(left(), [], "its DEL was done");
  },
);

t.test(
  "LeaderRecords.look() leaves what may be a static pod's while its agent is silent and its node is there",
  async (t) => {
    const { add, leader, records, cluster } = worldOf(t.testdir());
    for (const [i, id] of ["static-node-a", "static-node-b"].entries()) await add(id, `10.0.0.${i + 1}`);
    for (const node of ["node-a", "node-b"]) await reportMode(cluster, node, { mode: "absent" });
    const look = () => leader.look([cluster.read("ippools", pool.name)], signal);
    await look();
    await sleep(7 * GRACE_MS);
    await twice(look);
    t.same(
      Object.values(records()).map(({ id }) => id),
      ["static-node-a"],
    );
  },
);
