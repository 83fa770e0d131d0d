import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { Election } from "../../../daemonset/addresses/leader/lease.ts";
import { connect } from "../../../ipam/connect.ts";
import { LEASES as LEASE_KIND } from "../../../kubernetes/cluster.ts";
import { Informer } from "../../../kubernetes/informer.ts";
import type { Lease } from "../../../kubernetes/lease.ts";
import { Daemon } from "../../../lab/cluster/daemon.ts";
import { until } from "../../../lab/until.ts";
import { pool } from "./support/agent.ts";
import { dice, POOLS, recorded, reserved, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld("absent");
t.teardown(() => api.stop());
t.setTimeout(600_000);
const { raw } = api;

const LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/railnet-leader";
const SCRIPT = new URL("support/agent-process.ts", import.meta.url).pathname;

const holder = async (): Promise<string> => {
  const { status, body } = await raw.request("GET", LEASE);
  return status === 200 ? (body.spec.holderIdentity ?? "").split("_")[0] : "";
};
const startAgent = (node: string): Daemon =>
  Daemon.start([process.execPath, SCRIPT, node, kubeconfig], `${api.folder}/${node}.log`);

/** A reservation as a node's agent leaves it, without any of our code. */
const reserve = (network: string, name: string, i: number, ip: string) =>
  raw.apply({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "OverlappingRangeIPReservation",
    metadata: {
      name: `${network}-${ip}`,
      labels: { "railnet.io/network": network, "railnet.io/node": "node-x" },
      annotations: { "railnet.io/pool": name, "railnet.io/node": "node-x" },
    },
    spec: { podref: `default/p${i}`, ifname: "net1", containerid: `c${i}` },
  });

t.test("Election has another agent go on with the view when the leader is killed in the middle of it", async (t) => {
  const rail = pool("rail0", "10.1.0.0/20");
  const metadata = { name: rail.name, annotations: { "railnet.io/adopted": "true" } };
  const kind = { apiVersion: "whereabouts.cni.cncf.io/v1alpha1", kind: "IPPool" };
  await raw.apply({ ...kind, metadata, spec: { range: rail.cidr, allocations: {} } });
  const agents = new Map(["node-a", "node-b", "node-c"].map((node) => [node, startAgent(node)]));
  const leaders: string[] = [];
  for (let round = 0; round < 3; round++) {
    const first = await until("a leader", holder, (node) => node !== "" && !leaders.includes(node));
    leaders.push(first);
    const before = (await recorded(raw, rail.name))!.length;
    const some = Array.from({ length: 300 }, (_, i) => 300 * round + i + 1);
    const writing = Promise.all(
      [0, 1, 2, 3].map(async (lane) => {
        for (const i of some.filter((i) => i % 4 === lane))
          await reserve("rail0", rail.name, i, `10.1.${i >> 8}.${i & 255}`);
      }),
    );
    await until(
      "the view begun",
      () => recorded(raw, rail.name),
      (view) => view!.length > before,
    );
    if (round < 2) agents.get(first)!.signal("SIGKILL");
    await writing;
  }
  const [view, want] = await until(
    "the view",
    async () => [await recorded(raw, rail.name), await reserved(raw, "rail0")] as const,
    ([view, want]) => JSON.stringify(view) === JSON.stringify(want),
  );
  t.equal(view!.length, 900);
  t.equal(want.length, 900);
  t.equal(new Set(leaders).size, 3, "each of them led");
  await Promise.all([...agents.values()].map((agent) => agent.stop("SIGKILL")));
  await raw.delete(`${POOLS}/${rail.name}`);
});

t.test("Election never has two leaders, through leases that are taken away, deleted and given back", async (t) => {
  await raw.delete(LEASE);
  const random = dice(11);
  const end = new AbortController();
  const log = { debug() {}, info() {}, warn() {} };
  let leading = 0;
  let most = 0;
  let terms = 0;
  const candidates = await Promise.all(
    [1, 2, 3, 4, 5].map(async (i) => {
      const cluster = await connect({ kubeconfig });
      const stop = new AbortController();
      const signal = AbortSignal.any([end.signal, stop.signal]);
      const election = new Election({ cluster, identity: `n${i}`, log, durationMs: 1200, renewMs: 200, jitterMs: 100 });
      const onChange = (change: string, lease: Lease) => election.saw(change === "DELETED" ? undefined : lease);
      const fieldSelector = "metadata.name=railnet-leader";
      await Informer.start<Lease>(cluster, LEASE_KIND, { fieldSelector, signal: end.signal, onChange }).synced;
      const done = election.run(signal, async (term) => {
        most = Math.max(most, ++leading);
        terms++;
        await sleep(60_000, undefined, { signal: term }).catch(() => {});
        leading--;
      });
      return { stop, done };
    }),
  );
  for (let round = 0; round < 6; round++) {
    const seen = terms;
    await until(
      "a leader",
      () => leading,
      (count) => count === 1,
    );
    if (round % 2 === 0) await raw.merge(LEASE, { spec: { holderIdentity: "somebody" } });
    else await raw.delete(LEASE);
    await until(
      "another term",
      () => terms,
      (count) => count > seen,
    );
    await sleep(random(300));
  }
  const last = candidates.slice(0, 4);
  for (const { stop } of last) stop.abort();
  await Promise.all(last.map(({ done }) => done));
  await until(
    "the one that is left leads",
    () => leading,
    (count) => count === 1,
  );
  t.equal(most, 1, "at any time");
  end.abort();
  await Promise.all(candidates.map(({ done }) => done));
  t.equal(leading, 0);
  t.equal(await holder(), "", "given back");
});

t.test(
  "Election has the next agent of a killed leader's node lead at once, and those of other nodes wait",
  async (t) => {
    await raw.delete(LEASE);
    const spec = {
      holderIdentity: "node-a_killed",
      leaseDurationSeconds: 600,
      renewTime: "2026-01-01T00:00:00.000000Z",
    };
    await raw.apply({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "railnet-leader" },
      spec,
    });
    const log = { debug() {}, info() {}, warn() {} };
    const end = new AbortController();
    const led: string[] = [];
    const running = ["node-ab_1", "node-b_2", "node-a_3"].map(async (identity) => {
      const cluster = await connect({ kubeconfig });
      const election = new Election({ cluster, identity, log, durationMs: 600_000, jitterMs: 10 });
      election.saw(await cluster.get<Lease>(LEASE_KIND, "railnet-leader"));
      await election.run(end.signal, async (term) => {
        led.push(identity);
        await sleep(60_000, undefined, { signal: term }).catch(() => {});
      });
    });
    await until("a leader", holder, () => led.length > 0);
    await sleep(1000); // what does not happen has no end
    t.same(led, ["node-a_3"]);
    end.abort();
    await Promise.all(running);
  },
);
