// What becomes of addresses when the API server forgets who has them: agents of several nodes over one server in memory.
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { Fleet } from "../../../daemonset/addresses/fleet.ts";
import { HealPeriod } from "../../../daemonset/addresses/node/heal-period.ts";
import { sandboxesOf } from "../../../daemonset/addresses/node/sandboxes.ts";
import { ClusterWork } from "../../../daemonset/addresses/service/cluster-work.ts";
import { Allocator } from "../../../ipam/allocator.ts";
import type { IpamHost } from "../../../ipam/host.ts";
import { ClaimJournal } from "../../../ipam/journal.ts";
import { healingOf } from "../../../ipam/mode.ts";
import { parseRange, rangeOf } from "../../../ipam/range.ts";
import { ApiError, type Cluster, type Selection } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";

const HEAL_MS = 1_500;
const CIDR = "10.0.0.0/24";
const pool = { name: "10.0.0.0-24", cidr: CIDR, network: "", overlapping: true };
const log = { debug() {}, info() {}, warn() {} };

t.setTimeout(600_000);
/** Waits of agents keep no process alive. */
const awake = setInterval(() => {}, 1_000);
t.teardown(() => clearInterval(awake));

/** A node's agent, and its sandboxes, which all run. */
class Agent {
  readonly node: string;
  readonly period: HealPeriod;
  readonly started: Promise<void>;
  readonly #allocator: Allocator;
  readonly #journal: ClaimJournal;

  readonly counters = noCounts();

  constructor(
    t: Test,
    node: string,
    cluster: Cluster,
    { stateDir, fleet, graceMs }: { stateDir: string; fleet: Fleet; graceMs: number },
  ) {
    this.node = node;
    this.#journal = new ClaimJournal(stateDir);
    const lock = async () => ({ [Symbol.dispose]() {} });
    const host = {
      stateDir,
      node,
      log,
      step() {},
      inode: () => 7,
      lock,
      releaseSoon: async () => {},
      wasReleased: () => false,
    };
    const work = new ClusterWork({
      ...{ cluster, node, log, fleet, graceMs, counters: this.counters },
      recorder: { record() {} },
      sandboxes: sandboxesOf(host as unknown as IpamHost),
      ...{ healMs: HEAL_MS, turnMs: 300, jitterMs: 20 },
    });
    t.teardown(() => work.stop());
    this.period = work.period;
    work.start();
    this.started = Promise.all([work.known, work.report(AbortSignal.timeout(10_000))]).then(() => {});
    this.#allocator = new Allocator(work.store);
  }

  async add(pod: string): Promise<string> {
    const owner = { podref: `team/${pod}`, ifname: "net1", containerId: `${pod}-c`, podUid: pod, node: this.node };
    const ip = await this.#allocator.allocate({ pool, range: rangeOf(parseRange(CIDR).network) }, owner);
    this.#journal.write({
      version: 1,
      phase: "held",
      network: "rail0",
      storage: { kind: "kubernetes", kubeconfig: "/k" },
      owner,
      netns: `/run/netns/${pod}`,
      netnsInode: 7,
      since: new Date().toISOString(),
      addresses: [{ pool, ip }],
    });
    return ip;
  }

  /** As a runtime does: again, until it is done. */
  async addAtLast(pod: string): Promise<string> {
    for (;;)
      try {
        return await this.add(pod);
      } catch {
        await sleep(20);
      }
  }
}

/** The same server, as one node reaches it. */
class Line {
  readonly cluster: Cluster;
  #cut = new AbortController();

  constructor(server: MemoryCluster) {
    const through = async <T>(work: () => Promise<T>): Promise<T> => {
      if (this.#cut.signal.aborted) throw new ApiError("no answer");
      return work();
    };
    this.cluster = new Proxy(server, {
      get: (_, name) => {
        const value = server[name as keyof MemoryCluster] as unknown;
        if (typeof value !== "function") return value;
        const call = value.bind(server) as (...args: unknown[]) => never;
        if (name === "watch")
          return (resource: never, from: Selection) =>
            this.#watch(() => call(resource, { ...from, signal: AbortSignal.any([this.#cut.signal, from.signal!]) }));
        return (...args: unknown[]) => through(() => call(...args));
      },
    }) as unknown as Cluster;
  }

  cut(): void {
    this.#cut.abort();
  }

  mend(): void {
    this.#cut = new AbortController();
  }

  async *#watch(events: () => AsyncIterable<unknown>) {
    if (this.#cut.signal.aborted) throw new ApiError("no answer");
    yield* events();
  }
}

async function worldOf(t: Test, nodes: number, ...names: string[]) {
  return worldWith(t, { nodes, graceMs: 10_000 }, ...names);
}

async function worldWith(t: Test, { nodes, graceMs }: { nodes: number; graceMs: number }, ...names: string[]) {
  const cluster = new MemoryCluster();
  for (const plural of ["overlappingrangeipreservations", "ippools"]) cluster.define(plural);
  await cluster.create(
    { plural: "configmaps" } as never,
    { metadata: { name: "railnet-config" }, data: { whereabouts: "absent" } } as never,
  );
  const dir = t.testdir({});
  const start = async (node: string, by: Cluster = cluster): Promise<Agent> => {
    const agent = new Agent(t, node, by, { stateDir: `${dir}/${node}`, fleet: new Fleet(nodes), graceMs });
    await agent.started;
    return agent;
  };
  const agents: Agent[] = [];
  for (const name of names) agents.push(await start(name));
  return { cluster, agents: agents as [Agent, Agent], start };
}

const reserved = (cluster: MemoryCluster) => cluster.names("overlappingrangeipreservations");
const settings = (cluster: MemoryCluster) => cluster.read("configmaps", "railnet-config").metadata.annotations ?? {};

for (const { how, nodes } of [
  { how: "watching", nodes: 1 },
  { how: "asking in turns", nodes: 501 },
]) {
  // biome-ignore format: rows
  for (const { what, bump } of [{ what: "", bump: 0 }, { what: ", with higher versions", bump: 1_000_000 }]) // biome-ignore format: rows
    t.test(`${how}: after a restore from a backup${what} nobody gets what a living sandbox holds`, async (t) => {
      const { cluster, agents: [a, b], start } = await worldOf(t, nodes, "node-a", "node-b");
      await b.add("b0");
      const backup = cluster.backup();
      const held = await a.add("a1");
      for (let i = 0; i < 20; i++) await cluster.mergePatch({ plural: "configmaps" } as never, "railnet-config", { data: { at: `${i}` } });
      cluster.restore(backup, bump);
      await sleep(5); // connections end before the server is back
      if (bump > 0) while (!a.period.hold()) await sleep(5);
      else await t.rejects(b.add("b1"), /restored from a backup|to restore their reservations/, "the first claim notices it");
      while (!b.period.hold()) await sleep(5);
      await t.rejects(b.add("b1"), /try again/, "the others follow the settings");
      const fresh = await start("node-c");
      await t.rejects(fresh.add("c1"), /try again/, "and so does who comes later");
      for (const agent of [b, fresh]) t.not(await agent.addAtLast("late"), held);
      t.ok(reserved(cluster).includes(held), "it was put back");
    });

  t.test(`${how}: after the definitions were made again nobody gets what a living sandbox holds`, async (t) => {
    const {
      cluster,
      agents: [a, b],
    } = await worldOf(t, nodes, "node-a", "node-b");
    const held = await a.add("a1");
    while (reserved(cluster).length === 0) await sleep(5);
    while (!settings(cluster)["railnet.io/definition"]) await sleep(5);
    const refused = new ApiError("not served", { status: 404 });
    cluster.before = (request) => {
      if (/(POST|LIST|WATCH) overlapping/.test(request)) throw refused;
    };
    cluster.recreate("overlappingrangeipreservations");
    cluster.recreate("ippools");
    while (!b.period.hold()) await sleep(5);
    cluster.before = () => {};
    await t.rejects(b.add("b1"), /try again/);
    t.not(await b.addAtLast("b1"), held);
    t.ok(reserved(cluster).includes(held), "it was put back");
  });

  t.test(`${how}: an agent that starts without its reservations says so, and puts them back`, async (t) => {
    const {
      cluster,
      agents: [a],
      start,
    } = await worldOf(t, nodes, "node-a");
    const held = await a.add("a1");
    await cluster.delete({ plural: "overlappingrangeipreservations" } as never, held);
    for (const one of await Promise.all([start("node-a"), start("node-b")])) {
      while (!one.period.hold() && !reserved(cluster).includes(held)) await sleep(5);
      t.not(await one.addAtLast(`late-${one.node}`), held);
    }
    t.ok(reserved(cluster).includes(held));
  });

  t.test(`${how}: one reservation that somebody deletes is put back, and stops nobody`, async (t) => {
    const {
      cluster,
      agents: [a, b],
    } = await worldOf(t, nodes, "node-a", "node-b");
    const held = await a.add("a1");
    await sleep(50);
    await cluster.delete({ plural: "overlappingrangeipreservations" } as never, held);
    while (!reserved(cluster).includes(held)) await sleep(5);
    t.equal(a.period.hold(), undefined);
    t.not(await b.add("b1"), held);
  });
}

/** Node-b leads; node-a holds an address and is cut off; then reservations are lost. */
async function cutOffWorld(t: Test, graceMs = 10_000) {
  const {
    cluster,
    agents: [b],
    start,
  } = await worldWith(t, { nodes: 1, graceMs }, "node-b");
  while (!settings(cluster)["railnet.io/definition"]) await sleep(5);
  const line = new Line(cluster);
  const a = await start("node-a", line.cluster);
  const held = await a.add("a1");
  line.cut();
  cluster.recreate("overlappingrangeipreservations");
  cluster.recreate("ippools");
  while (!b.period.hold()) await sleep(5);
  return { cluster, line, b, held, start };
}

t.test(
  "after the definitions were made again all wait for a node that is cut off, which puts back what it holds",
  async (t) => {
    const { cluster, line, b, held, start } = await cutOffWorld(t);
    const fresh = await start("node-c");
    for (const beginMs = performance.now(); performance.now() - beginMs < 2 * HEAL_MS; await sleep(50))
      for (const agent of [fresh, b]) await t.rejects(agent.add("early"), /try again/);
    line.mend();
    t.not(await fresh.addAtLast("late"), held);
    t.ok(reserved(cluster).includes(held), "it was put back");
  },
);

t.test("a node that stays cut off is waited for no longer than the leader's patience", async (t) => {
  const { b } = await cutOffWorld(t, 1_000);
  const beginMs = performance.now();
  t.ok(await b.addAtLast("late"));
  t.ok(performance.now() - beginMs > 3 * HEAL_MS, "longer than a period");
});

t.test("a definition that no leader has seen yet holds the claims of whoever sees it", async (t) => {
  const {
    cluster,
    agents: [b],
  } = await worldOf(t, 1, "node-b");
  while (!settings(cluster)["railnet.io/definition"]) await sleep(5);
  cluster.before = (request) => {
    if (/PATCH configmaps/.test(request)) throw new ApiError("refused", { status: 403 });
  };
  cluster.recreate("overlappingrangeipreservations");
  await sleep(5);
  await t.rejects(b.add("b1"), /the definition of reservations was re-created.*try again/);
  cluster.before = () => {};
  t.ok(await b.addAtLast("b1"));
});

t.test("after a lost connection a claim waits for settings and reservations, and hurries them", async (t) => {
  const { signal } = new AbortController();
  const period = new HealPeriod({ cluster: {} as Cluster, node: "node-a", log, signal });
  let hurried = 0;
  period.onWait(() => hurried++);
  period.defined("uid");
  t.equal(period.ready(), undefined);
  period.verified("settings", false);
  period.verified("reservations", false);
  const ready = period.ready()!.then(() => "ready");
  period.verified("reservations", true);
  t.equal(await Promise.race([ready, sleep(50, "waits")]), "waits", "others may have noticed a loss");
  t.ok(hurried > 0);
  period.verified("settings", true);
  t.equal(await ready, "ready");
  t.equal(period.ready(), undefined);
});

t.test("healingOf() is of what was written lately, by either clock", async (t) => {
  const at = (text: string) => ({ metadata: { name: "railnet-config", annotations: { "railnet.io/healing": text } } });
  const now = Date.parse("2026-01-01T00:01:00Z");
  for (const { text, is } of [
    { text: "2026-01-01T00:00:30.000Z node-a: why", is: true },
    { text: "2026-01-01T00:01:30.000Z node-a: why", is: true },
    { text: "2025-12-31T23:00:00.000Z node-a: why", is: false },
    { text: "nonsense", is: false },
    { text: "", is: false },
  ])
    t.equal(healingOf(at(text), now) !== undefined, is, text);
});
