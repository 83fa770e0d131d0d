import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { makeNamespace } from "../../../lab/cluster/objects.ts";
import { type Json, pathOf } from "../../../lab/cluster/raw.ts";
import { Whereabouts } from "../../../lab/cluster/whereabouts.ts";
import { until } from "../../../lab/until.ts";
import { Agent, pool } from "./support/agent.ts";
import { POOLS, RESERVATIONS, SETTINGS, setMode, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld(undefined);
t.teardown(() => api.stop());
t.setTimeout(600_000);
const { raw } = api;
const LEADER = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/railnet-leader";
const NO_TRACE = /no sign of Whereabouts/;

const said = async (): Promise<string | undefined> => (await raw.request("GET", SETTINGS)).body.data?.whereabouts;

/** Everything that a leader does at the beginning of its term is done: it has looked for garbage. */
async function led(agent: Agent): Promise<void> {
  await until(
    "the leader",
    () => agent.counters.terms,
    (terms) => terms === 1,
  );
  await sleep(1000); // what does not happen has no end
}

async function clean(): Promise<void> {
  for (const list of [POOLS, RESERVATIONS])
    for (const { metadata } of await raw.list(list)) await raw.delete(`${list}/${metadata.name}`);
  await raw.delete(SETTINGS);
  await raw.delete(LEADER);
}
t.beforeEach(clean);

t.test("a new cluster's settings are made, and say absent", async (t) => {
  await using agent = await Agent.start("node-a", kubeconfig);
  await until("the settings", said, (mode) => mode === "absent");
  t.equal(agent.said(NO_TRACE).length, 1);
});

t.test("settings without the key get it, also when pods of ours came first; the rest of them stays", async (t) => {
  const rails = "[]\n";
  await raw.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "railnet-config" }, data: { rails } });
  const early = await Agent.start("node-a", kubeconfig, { durationMs: 600_000, jitterMs: 600_000 }); // never leads
  const owner = { podref: "default/p", ifname: "net1", containerId: "c1" };
  t.equal(await early.add(pool("rail0", "10.1.0.0/24"), "10.1.0.9", owner), undefined);
  await early.stop();
  await using _agent = await Agent.start("node-b", kubeconfig);
  await until("the settings", said, (mode) => mode === "absent");
  t.same((await raw.get(SETTINGS)).data, { rails, whereabouts: "absent" });
});

const TRACES: Readonly<Record<string, () => Promise<Json>>> = {
  "a pool": () =>
    raw.apply({
      apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
      kind: "IPPool",
      metadata: { name: "10.1.0.0-24" },
      spec: { range: "10.1.0.0/24", allocations: {} },
    }),
  "a reservation": () =>
    raw.apply({
      apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
      kind: "OverlappingRangeIPReservation",
      metadata: { name: "10.1.0.1" },
      spec: { podref: "default/p" },
    }),
  "the settings": () => setMode(raw, "coexist"),
  "the real Whereabouts' lease": async () => {
    const theirs = await Whereabouts.install(api);
    const config = theirs.config({ range: "10.1.0.0/24" });
    for (const verb of ["ADD", "DEL"] as const) await theirs.call(verb, config, { id: "c1", pod: "p1" });
    for (const { metadata } of await raw.list(POOLS)) await raw.delete(`${POOLS}/${metadata.name}`);
  },
};
const ELSEWHERE: Readonly<Record<string, Json>> = {
  lease: { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "whereabouts", namespace: "openshift-multus" }, spec: {} },
  pool: { apiVersion: "whereabouts.cni.cncf.io/v1alpha1", kind: "IPPool", metadata: { name: "10.1.0.0-24", namespace: "openshift-multus" }, spec: { range: "10.1.0.0/24", allocations: {} } },
}; // biome-ignore format: rows
for (const [name, object] of Object.entries(ELSEWHERE))
  t.test(
    `a ${name} in another namespace stands for a Whereabouts: nothing is written, and a warning names it`,
    async (t) => {
      await makeNamespace(raw, "openshift-multus");
      await raw.apply(object);
      await using agent = await Agent.start("node-a", kubeconfig);
      await until(
        "the warning",
        () => agent.said(/a Whereabouts keeps its addresses in namespace openshift-multus/),
        (lines) => lines.length > 0,
      );
      t.equal((await raw.request("GET", SETTINGS)).status, 404);
      t.equal(agent.modes.mode, "coexist");
      await raw.delete(pathOf(object));
    },
  );

for (const [name, make] of Object.entries(TRACES))
  t.test(`${name} stands for a Whereabouts: nothing is said`, async (t) => {
    await make();
    const before = await said();
    await using agent = await Agent.start("node-a", kubeconfig);
    await led(agent);
    t.equal(await said(), before);
    t.equal(agent.modes.mode, "coexist");
    t.same(agent.said(NO_TRACE), []);
  });
