// What an agent does for a cluster begins and ends when the agent says so, not with a store.
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { Fleet } from "../../../daemonset/addresses/fleet.ts";
import { LEADER_LEASE } from "../../../daemonset/addresses/leader/lease.ts";
import type { Sandboxes } from "../../../daemonset/addresses/node/sandboxes.ts";
import { ClusterWork } from "../../../daemonset/addresses/service/cluster-work.ts";
import { Clusters } from "../../../daemonset/addresses/service/clusters.ts";
import { ClaimJournal } from "../../../ipam/journal.ts";
import { ApiError } from "../../../kubernetes/cluster.ts";
import { until } from "../../../lab/until.ts";
import { ownerOf, poolOf } from "../../ipam/store/names.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";

t.setTimeout(600_000);
/** Waits of agents keep no process alive. */
const awake = setInterval(() => {}, 1_000);
t.teardown(() => clearInterval(awake));

function worldOf(t: Test, cluster = new MemoryCluster()) {
  for (const plural of ["overlappingrangeipreservations", "ippools"]) cluster.define(plural);
  const log = { debug() {}, info() {}, warn() {} };
  const sandboxes = { journal: new ClaimJournal(t.testdir()), isAlive: () => true } as unknown as Sandboxes;
  const shared = { log, sandboxes, recorder: { record() {} }, counters: noCounts(), fleet: new Fleet(1) };
  const work = new ClusterWork({ ...shared, cluster, node: "node-a", jitterMs: 1, healMs: 10 });
  t.teardown(() => work.stop());
  const leader = (): string | undefined => cluster.read("leases", LEADER_LEASE)?.spec.holderIdentity;
  return { cluster, work, leader };
}

t.test("ClusterWork asks nothing before it is started, and its store can be used all the same", async (t) => {
  const { cluster, work } = worldOf(t);
  await sleep(50);
  t.same(cluster.requests, []);
  const claim = { pool: poolOf("", "10.40.0.0/28"), ip: "10.40.0.2", owner: ownerOf("p") };
  t.equal(await work.store.claim(claim), undefined);
  t.notOk(
    cluster.requests.some((request) => /WATCH|leases railnet/.test(request)),
    "nothing is followed, nobody is elected",
  );
});

t.test("ClusterWork that is stopped has given the leader's lease back, and asks nothing any more", async (t) => {
  const { cluster, work, leader } = worldOf(t);
  work.start();
  work.start();
  await work.known;
  await until("it leads", () => leader()?.startsWith("node-a_") === true);
  await until("its report", () => cluster.names("leases").includes("railnet-node-node-a"));
  const watches = cluster.requests.filter((request) => request.startsWith("WATCH configmaps"));
  t.equal(watches.length, 1, "started twice, it runs once");
  await work.stop();
  t.equal(leader(), "", "the next agent leads at once");
  const asked = cluster.requests.length;
  cluster.define("ippools"); // whoever still followed would hear of it
  await sleep(200);
  t.equal(cluster.requests.length, asked);
  await work.stop();
  work.start();
  await sleep(50);
  t.equal(cluster.requests.length, asked, "it is not started again");
});

t.test(
  "ClusterWork of an API server that does not answer starts, goes on when it does, and stops without it",
  async (t) => {
    const { cluster, work, leader } = worldOf(t);
    let isGone = true;
    cluster.before = () => {
      if (isGone) throw new ApiError("no answer");
    };
    work.start();
    await sleep(300);
    isGone = false;
    await work.known;
    await until("it leads", () => leader()?.startsWith("node-a_") === true);
    cluster.replace = (_: unknown, __: unknown, { signal }: { signal?: AbortSignal } = {}) =>
      new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new ApiError("no answer"))));
    const stopped = await Promise.race([work.stop().then(() => "stopped"), sleep(20_000, "hangs", { ref: false })]);
    t.equal(stopped, "stopped");
  },
);

t.test(
  "Clusters starts the work for a cluster once, tries again what could not be connected, and stops all",
  async (t) => {
    const { cluster, work, leader } = worldOf(t);
    const connected: string[] = [];
    const clusters = new Clusters(async (kubeconfig) => {
      connected.push(kubeconfig);
      if (connected.length === 1) throw new ApiError("cannot read the kubeconfig");
      return work;
    });
    await t.rejects(clusters.of("/k"), /cannot read/);
    const [one, other] = await Promise.all([clusters.of("/k"), clusters.of("/k")]);
    t.equal(one, work);
    t.equal(other, work);
    t.same(connected, ["/k", "/k"]);
    await until("it leads", () => leader()?.startsWith("node-a_") === true);
    await clusters.stop();
    t.equal(leader(), "");
    const asked = cluster.requests.length;
    await clusters.of("/other");
    await sleep(100);
    t.equal(cluster.requests.length, asked, "what is connected later is not started");
  },
);
