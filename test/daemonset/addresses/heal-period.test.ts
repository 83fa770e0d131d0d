// What becomes of addresses when the API server forgets who has them: agents of several nodes over one server in memory.
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import type { Events } from "../../../daemonset/addresses/events.ts";
import { HealPeriod } from "../../../daemonset/addresses/node/heal-period.ts";
import { ModeWatch } from "../../../daemonset/addresses/node/mode-watch.ts";
import { sandboxesOf } from "../../../daemonset/addresses/node/sandboxes.ts";
import { startBackground } from "../../../daemonset/addresses/service/background.ts";
import { Allocator } from "../../../ipam/allocator.ts";
import type { IpamHost } from "../../../ipam/host.ts";
import { ClaimJournal } from "../../../ipam/journal.ts";
import { healingOf } from "../../../ipam/mode.ts";
import { parseRange, rangeOf } from "../../../ipam/range.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import { ApiError } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";

const HEAL_MS = 1_500;
const CIDR = "10.0.0.0/24";
const pool = { name: "10.0.0.0-24", cidr: CIDR, network: "", overlapping: true };
const log = { debug() {}, info() {}, warn() {} };

/** A node's agent, and its sandboxes, which all run. */
class Agent {
  readonly node: string;
  readonly period: HealPeriod;
  readonly started: Promise<void>;
  readonly #allocator: Allocator;
  readonly #journal: ClaimJournal;

  constructor(t: Test, node: string, cluster: MemoryCluster, stateDir: string) {
    const stop = new AbortController();
    t.teardown(() => stop.abort());
    const { signal } = stop;
    this.node = node;
    this.#journal = new ClaimJournal(stateDir);
    this.period = new HealPeriod({ cluster, node, log, signal, healMs: HEAL_MS });
    const modes = new ModeWatch({ cluster, log }, signal, (settings) => this.period.saw(settings));
    const store = new KubernetesStore({
      ...{ cluster, log, createsAdopted: true, mode: () => modes.mode, epoch: () => modes.epoch },
      ready: () => this.period.ready(),
      hold: () => this.period.hold(),
      onRestored: (why) => this.period.notice(why),
    });
    const lock = async () => ({ [Symbol.dispose]() {} });
    const host = { stateDir, node, log, step() {}, inode: () => 7, lock, releaseSoon: async () => {}, wasReleased: () => false }; // biome-ignore format: one line
    const sandboxes = sandboxesOf(host as unknown as IpamHost);
    const events = { onPool() {}, onSettings() {} } as unknown as Events;
    const options = {
      cluster,
      store,
      modes,
      period: this.period,
      sandboxes,
      node,
      log,
      events,
      counters: noCounts(),
      signal,
    };
    const { looked } = startBackground(options);
    this.started = Promise.all([modes.synced, looked]).then(() => {});
    this.#allocator = new Allocator(store);
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

async function worldOf(t: Test, ...names: string[]) {
  const cluster = new MemoryCluster();
  await cluster.create({ plural: "configmaps" } as never, { metadata: { name: "railnet-config" }, data: { whereabouts: "absent" } } as never); // biome-ignore format: one line
  const dir = t.testdir({});
  const start = async (node: string): Promise<Agent> => {
    const agent = new Agent(t, node, cluster, `${dir}/${node}`);
    await agent.started;
    return agent;
  };
  const agents: Agent[] = [];
  for (const name of names) agents.push(await start(name));
  return { cluster, agents: agents as [Agent, Agent], start };
}

const reserved = (cluster: MemoryCluster) => cluster.names("overlappingrangeipreservations");

for (const { what, bump } of [{ what: "", bump: 0 }, { what: ", with higher versions", bump: 1_000_000 }]) // biome-ignore format: rows
  t.test(`after a restore from a backup${what} nobody gets what a living sandbox holds`, async (t) => {
    const { cluster, agents: [a, b], start } = await worldOf(t, "node-a", "node-b"); // biome-ignore format: one line
    await b.add("b0");
    const backup = cluster.backup();
    const held = await a.add("a1");
    for (let i = 0; i < 20; i++) await cluster.mergePatch({ plural: "configmaps" } as never, "railnet-config", { data: { at: `${i}` } }); // biome-ignore format: one line
    cluster.restore(backup, bump);
    await sleep(5); // connections end before the server is back
    if (bump > 0) while (!a.period.hold()) await sleep(5);
    else await t.rejects(b.add("b1"), /restored from a backup|put back what they hold/, "the first claim notices it");
    while (!b.period.hold()) await sleep(5);
    await t.rejects(b.add("b1"), /try again/, "the others follow the settings");
    const fresh = await start("node-c");
    await t.rejects(fresh.add("c1"), /try again/, "and so does who comes later");
    for (const agent of [b, fresh]) t.not(await agent.addAtLast("late"), held);
    t.ok(reserved(cluster).includes(held), "it was put back");
  });

t.test("after the definitions were made again nobody gets what a living sandbox holds", async (t) => {
  const { cluster, agents: [a, b] } = await worldOf(t, "node-a", "node-b"); // biome-ignore format: one line
  const held = await a.add("a1");
  while (reserved(cluster).length === 0) await sleep(5);
  await sleep(50);
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

t.test("an agent that starts without its reservations says so, and puts them back", async (t) => {
  const { cluster, agents: [a], start } = await worldOf(t, "node-a"); // biome-ignore format: one line
  const held = await a.add("a1");
  await cluster.delete({ plural: "overlappingrangeipreservations" } as never, held);
  for (const one of await Promise.all([start("node-a"), start("node-b")])) {
    while (!one.period.hold() && !reserved(cluster).includes(held)) await sleep(5);
    t.not(await one.addAtLast(`late-${one.node}`), held);
  }
  t.ok(reserved(cluster).includes(held));
});

t.test("one reservation that somebody deletes is put back, and stops nobody", async (t) => {
  const { cluster, agents: [a, b] } = await worldOf(t, "node-a", "node-b"); // biome-ignore format: one line
  const held = await a.add("a1");
  await sleep(50);
  await cluster.delete({ plural: "overlappingrangeipreservations" } as never, held);
  while (!reserved(cluster).includes(held)) await sleep(5);
  t.equal(a.period.hold(), undefined);
  t.not(await b.add("b1"), held);
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
