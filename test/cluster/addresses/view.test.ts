import t from "tap";
import type { Answer } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { Agent, pool } from "./support/agent.ts";
import { dice, POOLS, RESERVATIONS, recorded, reserved, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld("absent");
t.teardown(() => api.stop());
t.setTimeout(600_000);
const { raw } = api;

const sameView = (network: string, name: string, what: string) =>
  until(
    what,
    async () => ({ want: await reserved(raw, network), got: await recorded(raw, name) }),
    ({ want, got }) => JSON.stringify(want) === JSON.stringify(got ?? []),
  );

t.test("PoolView makes records of reservations through random churn and changes by hand", async (t) => {
  await using agent = await Agent.start("node-a", kubeconfig);
  await agent.modes.synced;
  const random = dice(7);
  const pools = [pool("rail0", "10.1.0.0/24"), pool("rail1", "10.2.0.0/24")];
  const held = new Map<string, { at: number; ip: string; id: string; podref: string }>();
  for (let step = 0; step < 240; step++) {
    const at = random(2);
    const ip = `10.${at + 1}.0.${1 + random(60)}`;
    const known = held.get(ip);
    const owner = (id: string, podref: string) => ({ podref, ifname: "net1", containerId: id, node: "node-b" });
    if (!known) {
      const id = `c${step}`;
      const holder = await agent.store.claim({ pool: pools[at]!, ip, owner: owner(id, `default/p${step}`) });
      t.equal(holder, undefined);
      held.set(ip, { at, ip, id, podref: `default/p${step}` });
    } else if (random(3) === 0) {
      const id = `c${step}`; // the same interface in a new sandbox
      await agent.store.claim({ pool: pools[at]!, ip, owner: owner(id, known.podref) });
      held.set(ip, { ...known, id });
    } else {
      await agent.store.release({ pool: pools[at]!, ip, owner: owner(known.id, known.podref) });
      held.delete(ip);
    }
    const path = `${POOLS}/${pools[0]!.name}`;
    const somebody = { id: "x", podref: "default/nobody", ifname: "net1" };
    if (step === 60)
      await raw.merge(path, {
        spec: { allocations: { 200: somebody, abc: somebody, 201: { id: "resv", podref: "" } } },
      });
    if (step === 120) await raw.merge(path, { spec: { allocations: { [ip.split(".")[3]!]: somebody } } });
    if (step === 180) await raw.delete(path);
  }
  for (const [at, { name, network }] of pools.entries()) {
    const { want } = await sameView(network, name, `the view of ${network}`);
    const ours = [...held.values()].filter((one) => one.at === at);
    t.same(want, ours.map(({ ip, podref, id }) => `${ip} ${podref} net1 ${id}`).sort());
    const object = await raw.get(`${POOLS}/${name}`);
    t.ok(object.metadata.annotations["railnet.io/adopted"], "the pool is adopted, also the one made again");
    t.notOk(object.metadata.managedFields, "the server keeps no books on single records");
  }
});

t.test("PoolView leaves keys that are not its own, and says so", async (t) => {
  await using agent = await Agent.start("node-a", kubeconfig);
  const rail = pool("rail2", "10.3.0.0/24");
  const junk = { abc: { id: "x", podref: "default/x", ifname: "net1" }, 7: { id: "resv:node-a", podref: "" } };
  const metadata = { name: rail.name, annotations: { "railnet.io/adopted": "true" } };
  await raw.apply({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata,
    spec: { range: rail.cidr, allocations: junk },
  });
  await agent.modes.synced;
  await agent.store.claim({
    pool: rail,
    ip: "10.3.0.9",
    owner: { podref: "default/a", ifname: "net1", containerId: "a1" },
  });
  const { body } = await until(
    "the view",
    () => raw.request("GET", `${POOLS}/${rail.name}`),
    ({ body }) => body.spec.allocations["9"],
  );
  t.same(body.spec.allocations, { ...junk, 9: { id: "a1", podref: "default/a", ifname: "net1" } });
  await until(
    "the log",
    () => agent.said(/that belong to no pod/),
    ({ length }) => length > 0,
  );
});

t.test(
  "PoolView shows a part of a pool that has too many records, says so, and all of it when it has fewer",
  async (t) => {
    await using agent = await Agent.start("node-a", kubeconfig, { maxRecords: 10 });
    await agent.modes.synced;
    const rail = pool("rail3", "10.4.0.0/24");
    const claims = Array.from({ length: 15 }, (_, i) => ({
      pool: rail,
      ip: `10.4.0.${i + 1}`,
      owner: { podref: `default/p${i}`, ifname: "net1", containerId: `c${i}` },
    }));
    await Promise.all(claims.map((claim) => agent.store.claim(claim)));
    const look = () => raw.request("GET", `${POOLS}/${rail.name}`);
    const isPartial = ({ body }: Answer) => body.metadata?.annotations?.["railnet.io/view"] !== undefined;
    const { body } = await until("the mark", look, isPartial);
    t.equal(Object.keys(body.spec.allocations).length, 10);
    t.equal((await reserved(raw, "rail3")).length, 15, "addresses go on");
    const isThere = async () => (await raw.list("/api/v1/namespaces/kube-system/events")).map(({ reason }) => reason);
    await until("the event", isThere, (reasons) => reasons.includes("ViewIncomplete"));
    for (const claim of claims.slice(0, 8)) await agent.store.release(claim);
    await sameView("rail3", rail.name, "the whole view");
    await until("no mark", look, (answer) => !isPartial(answer));
  },
);

t.test("PoolView adopts the record of a living pod that has no reservation, instead of removing it", async (t) => {
  const rail = pool("rail4", "10.5.0.0/24");
  const { makePod } = await import("../../../lab/cluster/objects.ts");
  await raw.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } });
  await makePod(raw, "living", { node: "node-c" });
  const allocations = {
    5: { id: "l1", podref: "default/living", ifname: "net1" },
    6: { id: "g1", podref: "default/gone", ifname: "net1" },
  };
  const metadata = { name: rail.name, annotations: { "railnet.io/adopted": "true" } };
  await raw.apply({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata,
    spec: { range: rail.cidr, allocations },
  });
  await using _agent = await Agent.start("node-a", kubeconfig);
  await sameView("rail4", rail.name, "the view");
  t.same(await reserved(raw, "rail4"), ["10.5.0.5 default/living net1 l1"]);
  const { metadata: made } = await raw.get(`${RESERVATIONS}/rail4-10.5.0.5`);
  t.match(made.labels, { "railnet.io/node": "node-c" });
});

t.test("PoolView of a new leader: what a pod that is ending has given back is not reserved again", async (t) => {
  const rail = pool("rail5", "10.6.0.0/24");
  const { makePod } = await import("../../../lab/cluster/objects.ts");
  await makePod(raw, "ending", { node: "node-c" });
  const path = "/api/v1/namespaces/default/pods/ending";
  await raw.merge(path, { metadata: { finalizers: ["example.com/hold"] } });
  await raw.delete(path);
  await raw.apply({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: { name: rail.name, annotations: { "railnet.io/adopted": "true" } },
    spec: { range: rail.cidr, allocations: { 5: { id: "e1", podref: "default/ending", ifname: "net1" } } },
  });
  await using agent = await Agent.start("node-a", kubeconfig);
  await agent.modes.synced;
  // A claim of the same pool: when the view shows it, it has been through the other record, too.
  const claim = { pool: rail, ip: "10.6.0.9", owner: { podref: "default/p9", ifname: "net1", containerId: "c9" } };
  await agent.store.claim(claim);
  const view = () => recorded(raw, rail.name);
  await until("the view", view, (lines = []) => lines.includes("10.6.0.9 default/p9 net1 c9"));
  t.same(await reserved(raw, "rail5"), ["10.6.0.9 default/p9 net1 c9"]);
  t.ok((await view())!.includes("10.6.0.5 default/ending net1 e1"), "as long as the pod is there, so is its record");
  await raw.merge(path, { metadata: { finalizers: null } });
  await sameView("rail5", rail.name, "the record is gone");
});
