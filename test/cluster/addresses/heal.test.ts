import t from "tap";
import { deletePod, makeNode, makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { Whereabouts } from "../../../lab/cluster/whereabouts.ts";
import { until } from "../../../lab/until.ts";
import { Agent, pool } from "./support/agent.ts";
import { POOLS, RESERVATIONS, recorded, reserved, setMode, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld("absent");
t.teardown(() => api.stop());
t.setTimeout(600_000);
const { raw } = api;
await raw.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } });

const owner = (i: number) => ({ podref: `default/p${i}`, ifname: "net1", containerId: `c${i}` });
const line = (ip: string, i: number): string => `${ip} default/p${i} net1 c${i}`;
const isThere = (network: string, ...lines: string[]) =>
  until(
    `${lines} reserved`,
    () => reserved(raw, network),
    (seen) => lines.every((one) => seen.includes(one)),
  );
const events = async (reason: string): Promise<Json[]> =>
  (await raw.list("/api/v1/namespaces/kube-system/events")).filter((event) => event.reason === reason);
const ready = (node: string, status: "True" | "Unknown") =>
  raw.merge(`/api/v1/nodes/${node}/status`, { status: { conditions: [{ type: "Ready", status }] } });

t.test("heal() puts back the reservation of a living attachment that somebody deletes, and of no other", async (t) => {
  const rail = pool("rail0", "10.1.0.0/24");
  await using agent = await Agent.start("node-a", kubeconfig);
  await agent.modes.synced;
  for (const i of [1, 2, 3, 4]) t.equal(await agent.add(rail, `10.1.0.${i}`, owner(i)), undefined);
  agent.alive.delete("c2"); // its sandbox ended
  agent.journal.write({ ...agent.journal.find("c3", "net1")!, phase: "releasing" }); // its DEL came
  for (const i of [1, 2, 3]) await raw.delete(`${RESERVATIONS}/rail0-10.1.0.${i}`);
  await isThere("rail0", line("10.1.0.1", 1), line("10.1.0.4", 4));
  const { metadata } = await raw.get(`${RESERVATIONS}/rail0-10.1.0.1`);
  t.match(metadata.labels, { "railnet.io/node": "node-a", "railnet.io/network": "rail0" });
  await until(
    "it is counted once its answer is there",
    () => agent.counters.putBack,
    (count) => count === 1,
  );
  await until(
    "the event",
    () => events("ReservationPutBack"),
    ({ length }) => length === 1,
  );
  await raw.delete(`${RESERVATIONS}/rail0-10.1.0.4`); // the others had their turn when this one is back
  await until(
    "the last one back",
    () => agent.counters.putBack,
    (count) => count === 2,
  );
  const view = async () => [await recorded(raw, rail.name), await reserved(raw, "rail0")];
  const [, now] = await until("the view", view, ([view, want]) => JSON.stringify(view) === JSON.stringify(want));
  t.same(now, [line("10.1.0.1", 1), line("10.1.0.4", 4)]);
});

t.test("heal() finds what was deleted while the agent was away", async () => {
  const rail = pool("rail0", "10.1.0.0/24");
  await using agent = await Agent.start("node-b", kubeconfig);
  await agent.modes.synced;
  await agent.add(rail, "10.1.0.50", owner(50));
  await agent.stop();
  await raw.delete(`${RESERVATIONS}/rail0-10.1.0.50`);
  await using again = await Agent.start("node-b", kubeconfig, { stateDir: agent.stateDir });
  again.alive.add("c50");
  await isThere("rail0", line("10.1.0.50", 50));
  await until(
    "it is counted once its answer is there",
    () => again.counters.putBack,
    (count) => count === 1,
  );
});

t.test("heal() puts back what was deleted while its ADD ran", async (t) => {
  const rail = pool("rail6", "10.7.0.0/24");
  await using agent = await Agent.start("node-a", kubeconfig, { lookMs: 600_000 });
  await agent.work.known; // it watches: a list that comes after the deletion would show nothing of it
  await agent.add(rail, "10.7.0.1", owner(1));
  await agent.add(rail, "10.7.0.2", owner(2));
  const held = agent.journal.find("c1", "net1")!;
  agent.journal.write({ ...held, phase: "claiming" });
  await raw.delete(`${RESERVATIONS}/rail6-10.7.0.1`);
  await raw.delete(`${RESERVATIONS}/rail6-10.7.0.2`);
  await isThere("rail6", line("10.7.0.2", 2)); // its turn came after the other's
  t.same(await reserved(raw, "rail6"), [line("10.7.0.2", 2)]);
  agent.journal.write(held);
  await isThere("rail6", line("10.7.0.1", 1));
  await until(
    "it is counted once its answer is there",
    () => agent.counters.putBack,
    (count) => count === 2,
  );
});

t.test("heal() takes no address away from whoever took it meanwhile, and says so loudly", async (t) => {
  const rail = pool("rail1", "10.2.0.0/24");
  await using agent = await Agent.start("node-a", kubeconfig);
  await agent.modes.synced;
  await agent.add(rail, "10.2.0.1", owner(1));
  await agent.stop();
  await raw.delete(`${RESERVATIONS}/rail1-10.2.0.1`);
  await using thief = await Agent.start("node-t", kubeconfig);
  await thief.modes.synced;
  t.equal(await thief.add(rail, "10.2.0.1", owner(99)), undefined);
  await using again = await Agent.start("node-a", kubeconfig, { stateDir: agent.stateDir });
  again.alive.add("c1");
  await until(
    "the report",
    () => events("DuplicateAddress"),
    ({ length }) => length > 0,
  );
  t.equal(again.counters.duplicates, 1);
  t.ok(again.said(/DUPLICATE ADDRESS/).length > 0);
  t.same(await reserved(raw, "rail1"), [line("10.2.0.1", 99)]);
});

t.test("heal() leaves the address to a newer sandbox of the same interface on another node", async (t) => {
  const rail = pool("rail2", "10.3.0.0/24");
  await using older = await Agent.start("node-a", kubeconfig);
  await older.modes.synced;
  await older.add(rail, "10.3.0.1", owner(1));
  await using newer = await Agent.start("node-b", kubeconfig);
  await newer.modes.synced;
  const moved = { ...owner(1), containerId: "c1-new" };
  t.equal(await newer.add(rail, "10.3.0.1", moved), undefined, "handed over");
  await older.add(rail, "10.3.0.2", owner(2)); // what it heals next shows that it has looked since
  await raw.delete(`${RESERVATIONS}/rail2-10.3.0.2`);
  await isThere("rail2", line("10.3.0.2", 2), "10.3.0.1 default/p1 net1 c1-new");
  t.equal(older.counters.duplicates, 0);
});

t.test("LeaderHeal puts back what a node that is down cannot, if its pod runs", async (t) => {
  const rail = pool("rail3", "10.4.0.0/24");
  for (const node of ["node-l", "node-down", "node-up"]) await makeNode(raw, node);
  await ready("node-down", "Unknown");
  await ready("node-up", "True");
  await using leader = await Agent.start("node-l", kubeconfig, { graceMs: 300 });
  await leader.modes.synced;
  await until(
    "the leader",
    () => leader.counters.terms,
    (count) => count === 1,
  );
  const claim = async (i: number, node: string, uid: string) =>
    leader.store.claim({ pool: rail, ip: `10.4.0.${i}`, owner: { ...owner(i), node, podUid: uid } });
  for (const i of [1, 2, 3, 4, 5]) {
    const node = i === 4 ? "node-up" : "node-down";
    const pod = await makePod(raw, `p${i}`, { node, phase: i === 3 ? "Succeeded" : "Running" });
    await claim(i, node, i === 1 ? "another" : pod.metadata.uid);
  }
  await deletePod(raw, "p2");
  for (const i of [1, 2, 3, 4, 5]) await raw.delete(`${RESERVATIONS}/rail3-10.4.0.${i}`);
  await isThere("rail3", line("10.4.0.5", 5)); // looked at last
  t.same(
    await reserved(raw, "rail3"),
    [line("10.4.0.5", 5)],
    "not of a pod that is gone, done, on a node that is up, or another",
  );
});

t.test("heal() puts records and reservations back after the real Whereabouts' reconciler deleted them", async (t) => {
  await setMode(raw, "coexist");
  const theirs = await Whereabouts.install(api);
  const rail = pool("rail4", "10.5.0.0/24");
  await using agent = await Agent.start("node-a", kubeconfig, { recordsMs: 200 });
  await agent.modes.synced;
  for (const i of [1, 2, 3]) {
    await makePod(raw, `live${i}`, { node: "node-a" });
    await agent.add(rail, `10.5.0.${i}`, { podref: `default/live${i}`, ifname: "net1", containerId: `c${i}` });
  }
  const lines = [1, 2, 3].map((i) => `10.5.0.${i} default/live${i} net1 c${i}`);
  t.same(await recorded(raw, rail.name), lines);
  const before = await raw.get(`${POOLS}/${rail.name}`);
  const reconciler = theirs.reconciler("@every 1s");
  t.teardown(() => reconciler.stop("SIGKILL"));
  await until(
    "put back",
    () => agent.counters.putBack,
    (count) => count >= 3,
  );
  await reconciler.stop("SIGKILL");
  const both = async () => [await recorded(raw, rail.name), await reserved(raw, "rail4")];
  const all = await until("both", both, (seen) => seen.every((one) => JSON.stringify(one) === JSON.stringify(lines)));
  t.same(all, [lines, lines]);
  const after = await raw.get(`${POOLS}/${rail.name}`);
  t.not(after.metadata.resourceVersion, before.metadata.resourceVersion, "it did delete records");
  t.equal(agent.counters.duplicates, 0);
});

t.test(
  "heal() puts a record back that somebody deletes beside a live Whereabouts, with its reservation still there",
  async (t) => {
    const rail = pool("rail5", "10.6.0.0/24");
    await using agent = await Agent.start("node-a", kubeconfig, { recordsMs: 200 });
    await agent.modes.synced;
    await agent.add(rail, "10.6.0.1", owner(1));
    await raw.merge(`${POOLS}/${rail.name}`, { spec: { allocations: { 1: null } } });
    const [back] = (await until(
      "the record",
      () => recorded(raw, rail.name),
      (seen) => seen!.length === 1,
    ))!;
    t.equal(back, line("10.6.0.1", 1));
  },
);
