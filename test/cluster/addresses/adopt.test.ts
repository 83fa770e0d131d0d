import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { Whereabouts } from "../../../lab/cluster/whereabouts.ts";
import { until } from "../../../lab/until.ts";
import { Agent, pool } from "./support/agent.ts";
import { dice, POOLS, RESERVATIONS, recorded, reserved, setMode, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld("coexist");
t.teardown(() => api.stop());
t.setTimeout(600_000);
const { raw } = api;
await raw.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } });

const adoptedAt = async (name: string): Promise<string | undefined> =>
  (await raw.get(`${POOLS}/${name}`)).metadata.annotations?.["railnet.io/adopted"];
const isAdopted = (name: string) => until(`${name} adopted`, () => adoptedAt(name), Boolean);
const events = async (reason: string): Promise<Json[]> =>
  (await raw.list("/api/v1/namespaces/kube-system/events")).filter((event) => event.reason === reason);

t.test(
  "adopt() makes whole reservations of what the real Whereabouts wrote, and fast claims never collide with it",
  async (t) => {
    const theirs = await Whereabouts.install(api);
    for (const overlapping of [true, false]) {
      const config = theirs.config({
        range: "10.1.0.0/24",
        network_name: "rail0",
        enable_overlapping_ranges: overlapping,
      });
      for (let i = 0; i < 5; i++) {
        const pod = `wb-${overlapping}-${i}`;
        if (i > 0) await makePod(raw, pod, { node: "node-b" });
        const { exit } = await theirs.call("ADD", config, { id: `${pod}-id`, pod });
        t.equal(exit, 0);
      }
    }
    const rail = pool("rail0", "10.1.0.0/24");
    const before = (await recorded(raw, rail.name))!;
    t.equal(before.length, 10);

    await using agent = await Agent.start("node-a", kubeconfig);
    await setMode(raw, "absent");
    await isAdopted(rail.name);
    t.same(await reserved(raw, "rail0"), before, "a reservation for each record, also where Whereabouts made none");
    const { uid } = (await raw.get("/api/v1/namespaces/default/pods/wb-true-3")).metadata;
    const { metadata } = (await raw.list(RESERVATIONS)).find(({ spec }) => spec.podref === "default/wb-true-3")!;
    const labels = { "railnet.io/pool": rail.name, "railnet.io/node": "node-b", "railnet.io/pod-uid": uid };
    t.match(metadata.labels, labels);

    await until(
      "mode absent",
      () => agent.modes.mode,
      (mode) => mode === "absent",
    );
    const owner = (i: number) => ({ podref: `default/fast-${i}`, ifname: "net1", containerId: `f${i}` });
    const claims = Array.from({ length: 40 }, (_, i) => ({ pool: rail, ip: `10.1.0.${i + 1}`, owner: owner(i) }));
    const holders = await Promise.all(claims.map((claim) => agent.store.claim(claim)));
    const lost = claims.filter((_, i) => holders[i]).map(({ ip }) => ip);
    t.same(
      lost.sort(),
      before.map((line) => line.split(" ")[0]),
      "lost are those that Whereabouts gave out",
    );
    t.equal(agent.counters.duplicates, 0);
    const same = async () => [await recorded(raw, rail.name), await reserved(raw, "rail0")];
    const [view] = await until("the view", same, ([view, want]) => JSON.stringify(view) === JSON.stringify(want));
    t.equal(view!.length, 40);
  },
);

t.test("adopt() misses no record that comes while it is at work", async (t) => {
  const rail = pool("rail1", "10.2.0.0/22");
  const record = (i: number) => ({ id: `c${i}`, podref: `default/r${i}`, ifname: "net1" });
  const some = Array.from({ length: 300 }, (_, i) => [i + 1, record(i + 1)] as const);
  await raw.apply({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: { name: rail.name },
    spec: { range: rail.cidr, allocations: Object.fromEntries(some) },
  });
  await using _agent = await Agent.start("node-a", kubeconfig);
  const late: number[] = [];
  for (let key = 301; ; key++) {
    const after = await raw.merge(`${POOLS}/${rail.name}`, { spec: { allocations: { [key]: record(key) } } });
    if (after.metadata.annotations?.["railnet.io/adopted"]) break;
    late.push(key);
    await sleep(30); // as often as the server lets many nodes write one pool
    if (key > 900) break;
  }
  t.ok(late.length > 0, "some came in between");
  await isAdopted(rail.name);
  const has = new Set((await raw.list(RESERVATIONS)).map(({ spec }) => spec.containerid));
  t.same(
    [...some.map(([key]) => key), ...late].filter((key) => !has.has(`c${key}`)),
    [],
  );
});

t.test("adopt() touches neither of two owners of an address, says so, and goes on when one is gone", async (t) => {
  const rail = pool("rail2", "10.3.0.0/24");
  const reservation = {
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "OverlappingRangeIPReservation",
    metadata: { name: "rail2-10.3.0.7" },
    spec: { podref: "default/older", ifname: "net1" },
  };
  await raw.apply(reservation);
  const allocations = { 7: { id: "y", podref: "default/younger", ifname: "net1" } };
  const metadata = { name: rail.name };
  const kind = { apiVersion: "whereabouts.cni.cncf.io/v1alpha1", kind: "IPPool" };
  await raw.apply({ ...kind, metadata, spec: { range: rail.cidr, allocations } });
  await using agent = await Agent.start("node-a", kubeconfig);
  await until(
    "the report",
    () => events("DuplicateAddress"),
    ({ length }) => length > 0,
  );
  t.ok(agent.said(/DUPLICATE/).length > 0);
  t.equal(agent.counters.duplicates, 1, "counted once, however often it is seen");
  t.equal(await adoptedAt(rail.name), undefined);
  t.match((await raw.get(`${RESERVATIONS}/rail2-10.3.0.7`)).spec, { podref: "default/older" });
  t.match((await raw.get(`${POOLS}/${rail.name}`)).spec.allocations, allocations);
  await raw.delete(`${RESERVATIONS}/rail2-10.3.0.7`);
  await isAdopted(rail.name);
  t.same(await reserved(raw, "rail2"), ["10.3.0.7 default/younger net1 y"]);
});

t.test("disown() takes the mark away when Whereabouts comes back, and adoption begins anew after it", async (t) => {
  const rail = pool("rail0", "10.1.0.0/24");
  await using _agent = await Agent.start("node-a", kubeconfig);
  await setMode(raw, "coexist");
  await until(
    "no mark",
    () => adoptedAt(rail.name),
    (at) => at === undefined,
  );
  const allocations = { 99: { id: "late", podref: "default/late", ifname: "net1" } };
  await raw.merge(`${POOLS}/${rail.name}`, { spec: { allocations } });
  await setMode(raw, "absent");
  await isAdopted(rail.name);
  t.ok((await reserved(raw, "rail0")).includes("10.1.0.99 default/late net1 late"));
});

t.test("adopt() and PoolView leave a pool alone whose records decide", async (t) => {
  const rail = pool("rail4", "10.5.0.0/24");
  await using agent = await Agent.start("node-a", kubeconfig);
  await until(
    "mode absent",
    () => agent.modes.mode,
    (mode) => mode === "absent",
  );
  const owner = (id: string) => ({ podref: "default/exact", ifname: "net1", containerId: id });
  const exact = { ...rail, overlapping: false };
  t.equal(await agent.store.claim({ pool: exact, ip: "10.5.0.2", owner: owner("e1") }), undefined);
  t.equal(await agent.store.claim({ pool: exact, ip: "10.5.0.2", owner: owner("e2") }), undefined);
  t.equal(await adoptedAt(rail.name), undefined, "it was made so");
  const elsewhere = pool("rail5", "10.6.0.0/24"); // its view is written: the leader has had its turn
  await agent.store.claim({ pool: elsewhere, ip: "10.6.0.1", owner: owner("o2") });
  await until(
    "the other view",
    () => recorded(raw, elsewhere.name),
    (view) => view!.length === 1,
  );
  t.same(await recorded(raw, rail.name), ["10.5.0.2 default/exact net1 e2"]);
  t.same(await reserved(raw, "rail4"), []);
  t.equal(await adoptedAt(rail.name), undefined);
});

t.test("adopt() leaves a pool alone that holds nothing: who first uses it says what decides", async (t) => {
  await using agent = await Agent.start("node-a", kubeconfig);
  await until(
    "mode absent",
    () => agent.modes.mode,
    (mode) => mode === "absent",
  );
  const kind = { apiVersion: "whereabouts.cni.cncf.io/v1alpha1", kind: "IPPool" };
  const [free, exact] = [pool("rail7", "10.8.0.0/24"), { ...pool("rail8", "10.9.0.0/24"), overlapping: false }];
  const full = pool("rail9", "10.10.0.0/24");
  for (const { name, cidr } of [free, exact])
    await raw.apply({ ...kind, metadata: { name }, spec: { range: cidr, allocations: {} } });
  const allocations = { 1: { id: "c1", podref: "default/p1", ifname: "net1" } };
  await raw.apply({ ...kind, metadata: { name: full.name }, spec: { range: full.cidr, allocations } });
  await isAdopted(full.name); // it came last: the leader has had its turn
  await sleep(1_000);
  t.same([await adoptedAt(free.name), await adoptedAt(exact.name)], [undefined, undefined]);
  const owner = (id: string) => ({ podref: `default/${id}`, ifname: "net1", containerId: id });
  t.equal(await agent.store.claim({ pool: free, ip: "10.8.0.1", owner: owner("o1") }), undefined);
  await isAdopted(free.name);
  t.equal(await agent.store.claim({ pool: exact, ip: "10.9.0.1", owner: owner("e1") }), undefined);
  t.same(await recorded(raw, exact.name), ["10.9.0.1 default/e1 net1 e1"]);
  t.same(await reserved(raw, "rail8"), []);
  t.equal(await adoptedAt(exact.name), undefined);
});

t.test("a pool that is adopted stays so, whoever says that its records decide", async (t) => {
  const rail = pool("rail6", "10.7.0.0/24");
  await using agent = await Agent.start("node-a", kubeconfig);
  await until(
    "mode absent",
    () => agent.modes.mode,
    (mode) => mode === "absent",
  );
  const owner = (id: string) => ({ podref: `default/${id}`, ifname: "net1", containerId: id });
  t.equal(await agent.store.claim({ pool: rail, ip: "10.7.0.1", owner: owner("o1") }), undefined);
  await until(
    "the view",
    () => recorded(raw, rail.name),
    (view) => view!.length === 1,
  );
  t.equal(
    await agent.store.claim({ pool: { ...rail, overlapping: false }, ip: "10.7.0.2", owner: owner("e1") }),
    undefined,
  );
  t.same(await reserved(raw, "rail6"), ["10.7.0.1 default/o1 net1 o1", "10.7.0.2 default/e1 net1 e1"]);
  t.not(await adoptedAt(rail.name), undefined);
});

t.test("adopt() ends well wherever its agent ends", async (t) => {
  const random = dice(3);
  const rail = pool("rail3", "10.4.0.0/24");
  const record = (i: number) => [i, { id: `c${i}`, podref: `default/s${i}`, ifname: "net1" }] as const;
  const allocations = Object.fromEntries(Array.from({ length: 200 }, (_, i) => record(i + 1)));
  const kind = { apiVersion: "whereabouts.cni.cncf.io/v1alpha1", kind: "IPPool" };
  await raw.apply({ ...kind, metadata: { name: rail.name }, spec: { range: rail.cidr, allocations } });
  for (let round = 0; !(await adoptedAt(rail.name)); round++) {
    const agent = await Agent.start(`node-${round}`, kubeconfig);
    const goal = (await reserved(raw, "rail3")).length + 1 + random(60);
    await until(
      "some of it, or all",
      async () => ({ count: (await reserved(raw, "rail3")).length, isAdopted: await adoptedAt(rail.name) }),
      ({ count, isAdopted }) => count >= goal || Boolean(isAdopted),
    );
    await agent.stop();
  }
  const all = await reserved(raw, "rail3");
  t.equal(all.length, 200);
  t.same(await recorded(raw, rail.name), all);
});
