import t from "tap";
import type { Pool } from "../../../ipam/store/store.ts";
import { makeNode, makePod } from "../../../lab/cluster/objects.ts";
import { until } from "../../../lab/until.ts";
import { Agent, heldRecord, pool } from "./support/agent.ts";
import { POOLS, recorded, startWorld } from "./support/world.ts";

// Addresses that were claimed with enable_overlapping_ranges: false, of which only a record in the pool tells.

t.setTimeout(600_000);
const { api, kubeconfig } = await startWorld("absent");
t.teardown(() => api.stop());
const { raw } = api;
for (const node of ["node-a", "node-b"]) await makeNode(raw, node);
const alone = (network: string, cidr: string): Pool => ({ ...pool(network, cidr), overlapping: false });
const owner = (id: string, podref = `default/${id}`) => ({ podref, ifname: "net1", containerId: id });
const FAST = { graceMs: 300, recordsMs: 100 };
const sandboxesIn = async (name: string): Promise<string[]> =>
  ((await recorded(raw, name)) ?? []).map((line) => line.split(" ").at(-1)!);
const left = (name: string, want: readonly string[]) =>
  until(
    `${name} has ${want.join(" ") || "nothing"}`,
    () => sandboxesIn(name),
    (seen) => seen.join() === want.join(),
  );

t.test("a node's agent ends what has no DEL, once its pod is over, and keeps what lives", async (t) => {
  const rail = alone("rail1", "10.1.0.0/24");
  await using agent = await Agent.start("node-a", kubeconfig, { ...FAST, durationMs: 600_000, jitterMs: 600_000 });
  for (const pod of ["alive", "dead-but-there"]) await makePod(raw, pod, { node: "node-a" });
  for (const [i, id] of ["alive", "dead-but-there", "lost", "living-sandbox"].entries())
    t.equal(await agent.add(rail, `10.1.0.${i + 1}`, owner(id)), undefined);
  for (const id of ["dead-but-there", "lost"]) agent.alive.delete(id);
  await left(rail.name, ["alive", "dead-but-there", "living-sandbox"]);
  t.equal(agent.said(/addresses without reservation freed/).length, 1);
  t.same(
    agent.ended.map(({ owner }) => owner.containerId),
    ["lost"],
  );
});

t.test("a node's agent puts a record back that somebody removed, and takes none away", async (t) => {
  const rail = alone("rail2", "10.2.0.0/24");
  await using agent = await Agent.start("node-a", kubeconfig, { ...FAST, durationMs: 600_000, jitterMs: 600_000 });
  for (const [i, id] of ["mine", "taken"].entries()) await agent.add(rail, `10.2.0.${i + 1}`, owner(id));
  const other = { id: "other", podref: "default/other", ifname: "net1" };
  await raw.merge(`${POOLS}/${rail.name}`, { spec: { allocations: { 1: null, 2: other } } });
  await left(rail.name, ["mine", "other"]);
  await until(
    "the duplicate is said",
    () => agent.counters.duplicates,
    (count) => count > 0,
  );
  t.equal(agent.counters.putBack, 1);
});

t.test("the leader frees records of pods that do not exist, which no journal knows any more", async (t) => {
  const rail = alone("rail3", "10.3.0.0/24");
  await makePod(raw, "there", { node: "node-b" });
  {
    await using gone = await Agent.start("node-b", kubeconfig, { durationMs: 600_000, jitterMs: 600_000 });
    for (const [i, id] of ["there", "not-there"].entries()) await gone.add(rail, `10.3.0.${i + 1}`, owner(id));
  }
  const reserving = pool("rail4", "10.4.0.0/24");
  await using leader = await Agent.start("node-a", kubeconfig, FAST);
  leader.journal.write(heldRecord(reserving, "10.4.0.1", owner("x")));
  await left(rail.name, ["there"]);
  const freed = await until(
    "the leader knows that it freed it",
    () => leader.work.freed.all().find(({ podref }) => podref === "default/not-there"),
    (found) => found !== undefined,
  );
  t.match(freed, { evidence: "its pod does not exist", pool: rail.name });
});
