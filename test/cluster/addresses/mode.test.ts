import t from "tap";
import { Whereabouts } from "../../../lab/cluster/whereabouts.ts";
import { until } from "../../../lab/until.ts";
import { Agent, pool } from "./support/agent.ts";
import { SETTINGS, setMode, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld(undefined);
t.teardown(() => api.stop());
t.setTimeout(600_000);
const { raw } = api;

/** A trace of a Whereabouts: a pool that nobody has adopted. */
const FOREIGN = {
  apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
  kind: "IPPool",
  metadata: { name: "theirs" },
  spec: { range: "10.9.0.0/24", allocations: {} },
};

const mode = (agent: Agent, want: string) =>
  until(
    `mode ${want}`,
    () => agent.modes.mode,
    (mode) => mode === want,
  );

t.test("ModeWatch follows the settings, and takes everything but absent for coexist", async (t) => {
  await raw.apply(FOREIGN); // or the leader would take a cluster without settings for a new one
  await using agent = await Agent.start("node-a", kubeconfig);
  const heard: string[] = [];
  agent.modes.onChange((mode) => heard.push(mode));
  await agent.modes.synced;
  t.equal(agent.modes.mode, "coexist", "without settings");
  await setMode(raw, "absent");
  await mode(agent, "absent");
  await setMode(raw, "nonsense");
  await mode(agent, "coexist");
  await setMode(raw, "absent");
  await mode(agent, "absent");
  await raw.delete(SETTINGS);
  await mode(agent, "coexist");
  t.same(heard, ["absent", "coexist", "absent", "coexist"]);
});

t.test(
  "guardMode() switches back when the real Whereabouts takes its lease, and not for a lease that lies there",
  async (t) => {
    const theirs = await Whereabouts.install(api);
    const config = theirs.config({ range: "10.1.0.0/24", network_name: "rail0" });
    t.equal((await theirs.call("ADD", config, { id: "c1", pod: "p1" })).exit, 0);
    const { spec } = await raw.get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/whereabouts");
    t.ok(spec.renewTime, "it leaves its lease");
    await using agent = await Agent.start("node-a", kubeconfig);
    await setMode(raw, "absent");
    await mode(agent, "absent");
    const rail = pool("rail0", "10.1.0.0/24");
    const adopted = async () =>
      (await raw.get(`/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools/${rail.name}`)).metadata
        .annotations?.["railnet.io/adopted"];
    await until("the leader at work", adopted, Boolean);
    t.equal((await raw.get(SETTINGS)).data.whereabouts, "absent", "nobody has renewed it");
    t.equal((await theirs.call("ADD", config, { id: "c2", pod: "p2" })).exit, 0);
    await mode(agent, "coexist");
    t.equal((await raw.get(SETTINGS)).data.whereabouts, "coexist");
    await until("no mark", adopted, (at) => at === undefined);
    const events = async () => (await raw.list("/api/v1/namespaces/kube-system/events")).map(({ reason }) => reason);
    await until("the event", events, (reasons) => reasons.includes("WhereaboutsIsAlive"));
    t.ok(agent.said(/a live Whereabouts renewed its lease/).length > 0);
  },
);
