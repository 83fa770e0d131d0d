import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { AddressEvents } from "../../../daemonset/addresses/address-events.ts";
import type { Context } from "../../../daemonset/addresses/context.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { FreedHistory } from "../../../daemonset/addresses/freed.ts";
import { LeaderGc } from "../../../daemonset/addresses/leader/gc-leader.ts";
import { bornMsOf, type NodeMemory } from "../../../daemonset/addresses/leader/gone-nodes.ts";
import type { Reserved } from "../../../daemonset/addresses/reserved.ts";
import type { KubeObject, Resource } from "../../../kubernetes/cluster.ts";

const GRACE_MS = 20;
const { signal } = new AbortController();

/** A cluster of these objects, by `plural/name`, and what was deleted in it. */
function worldOf(...there: readonly string[]) {
  const objects = new Map<string, object>(there.map((name) => [name, {}]));
  const deleted: string[] = [];
  const quarantined: object[] = [];
  const asked: string[] = [];
  const cluster = {
    get: async ({ plural }: Resource, name: string) => {
      asked.push(`${plural}/${name}`);
      const found = objects.get(`${plural}/${name}`);
      return found && { metadata: { name, uid: "uid" }, ...found };
    },
    list: async ({ plural }: Resource) => ({
      items: [...objects.keys()].flatMap((key) =>
        key.startsWith(`${plural}/`)
          ? [{ metadata: { name: key.slice(plural.length + 1), uid: "u", resourceVersion: "1" } }]
          : [],
      ),
    }),
    mergePatch: async (_: Resource, name: string, patch: object) => {
      quarantined.push(patch);
      deleted.push(name);
    },
    delete: async (_: Resource, name: string) => {
      deleted.push(name);
      objects.delete(`leases/${name}`);
      return true;
    },
  };
  const log = { debug: () => {}, info: () => {}, warn: () => {} };
  const told = new AddressEvents(log, { onPool() {} }, noCounts(), new FreedHistory());
  const context = { cluster, log, told, mode: () => "absent" };
  const memory = (node: string): NodeMemory | undefined => {
    const found = objects.get(`nodes/${node}`) as { metadata?: { creationTimestamp?: string } } | undefined;
    const bornMs = bornMsOf(found?.metadata?.creationTimestamp);
    return found && { state: "ready", ...(bornMs !== undefined && { bornMs }) };
  };
  const gc = new LeaderGc(context as unknown as Context, memory, GRACE_MS);
  return { objects, deleted, quarantined, asked, look: (all = [reservation]) => gc.look(all, signal) };
}

const reservation = {
  metadata: { name: "10.0.0.1", uid: "r", resourceVersion: "7" },
  node: "node-a",
  podref: "default/p",
  podUid: "uid",
} as KubeObject as Reserved;

async function looks(look: () => Promise<void>, count = 3, before = () => {}): Promise<void> {
  for (let i = 0; i < count; i++) {
    before();
    await look();
    await sleep(GRACE_MS + 5);
  }
}

t.test("LeaderGc frees what a node left that is gone, with its agent and the pod", async (t) => {
  const { look, deleted } = worldOf();
  await look();
  t.same(deleted, [], "not at the first look");
  await looks(look);
  t.equal(deleted[0], "10.0.0.1");
});

t.test(
  "LeaderGc puts into quarantine what a silent node left, and frees what is left of one that is out of service",
  async (t) => {
    const silent = worldOf();
    await looks(silent.look, 4);
    t.match(silent.quarantined[0], { metadata: { resourceVersion: "7" }, spec: { podref: "quarantined" } });
    const tainted = worldOf();
    tainted.objects.set("nodes/node-a", { spec: { taints: [{ key: "node.kubernetes.io/out-of-service" }] } });
    await looks(() => tainted.look([{ ...reservation, node: "node-a" }]), 4);
    t.same(tainted.quarantined, []);
  },
);

t.test("LeaderGc counts a second quarantine from its own beginning", async (t) => {
  const { look, quarantined } = worldOf();
  const beganMs = Date.now();
  await looks(() => look([{ ...reservation, quarantinedMs: beganMs - 7_200_000 }]), 4); // it had an owner for two hours
  const { metadata } = quarantined[0] as { metadata: { annotations: Record<string, string> } };
  t.ok(Date.parse(metadata.annotations["railnet.io/quarantined"]!) >= beganMs, "else it would be free at once");
});

t.test("LeaderGc ends a quarantine after its time, when nobody took the address", async (t) => {
  const since = (ms: number) => ({ ...reservation, node: "", podref: "quarantined", quarantinedMs: Date.now() - ms });
  const { look, deleted } = worldOf();
  await look([since(0)]);
  await look([{ ...since(60 * GRACE_MS), podref: "default/p", node: "node-b" }]);
  t.same(deleted, []);
  await look([since(60 * GRACE_MS)]);
  t.same(deleted, ["10.0.0.1"]);
});

t.test("LeaderGc frees nothing of a pod that is there, whatever is known of its node", async (t) => {
  const { look, deleted } = worldOf("pods/p");
  await looks(look);
  t.same(deleted, []);
});

const unlabelled = { ...reservation, node: "", podUid: "", ifname: "net1", pool: "rail0", containerId: "a1" };
const later = {
  ...unlabelled,
  metadata: { ...reservation.metadata, name: "10.0.0.2" },
  ...{ node: "node-a", podUid: "uid" },
};
const ADOPTED_POOL = { metadata: { annotations: { "railnet.io/adopted": "since" } } };

for (const { when, pool = ADOPTED_POOL, phase = "Running", beside = later, want } of [
  { when: "when its pod has finished", phase: "Succeeded", want: 1 },
  { when: "when its pod has another one, in another sandbox", beside: { ...later, containerId: "a2" }, want: 1 },
  { when: "not when that is of the same sandbox", want: 0 },
  { when: "not when that is another interface's", beside: { ...later, containerId: "a2", ifname: "net2" }, want: 0 },
  { when: "not when that is an earlier pod's", beside: { ...later, containerId: "a2", podUid: "before" }, want: 0 },
  { when: "not when that says no node either", beside: { ...later, containerId: "a2", node: "" }, want: 0 },
  { when: "not where records count", pool: {}, beside: { ...later, containerId: "a2" }, want: 0 },
])
  t.test(`LeaderGc puts an address into quarantine of which nobody knows the node ${when}`, async (t) => {
    const { objects, look, quarantined } = worldOf("nodes/node-a");
    objects.set("pods/p", { metadata: { name: "p", uid: "uid" }, status: { phase } }).set("ippools/rail0", pool);
    await looks(() => look([unlabelled, beside]));
    t.match(
      quarantined.slice(0, 1),
      Array.from({ length: want }, () => ({ spec: { podref: "quarantined" } })),
    );
    t.equal(quarantined.length > 0, want > 0);
  });

for (const hours of [-7, 0, 7])
  t.test(
    `LeaderGc frees nothing while the agent of a node without Node object reports, its clock ${hours} h off`,
    async (t) => {
      const { look, deleted, objects } = worldOf();
      const report = () => {
        const renewTime = new Date(Date.now() + hours * 3_600_000).toISOString();
        objects.set("leases/railnet-node-node-a", { spec: { renewTime } });
      };
      await looks(look, 10, report);
      t.same(deleted, []);
      await looks(look, 10);
      t.equal(deleted[0], "10.0.0.1", "but when it was for long");
    },
  );

t.test("LeaderGc forgets what it suspected when the Node object is back for a moment", async (t) => {
  const { look, deleted, objects } = worldOf();
  await look();
  await sleep(GRACE_MS + 5);
  objects.set("nodes/node-a", { status: { conditions: [{ type: "Ready", status: "True" }] } });
  await look();
  objects.delete("nodes/node-a");
  await look();
  t.same(deleted, [], "its time begins anew");
});

/** 32 rails' addresses of as many nodes. */
const many = (nodes: number): Reserved[] =>
  Array.from({ length: nodes * 32 }, (_, i) => ({
    metadata: { name: `10.0.${i >> 8}.${i & 255}`, uid: `r${i}`, resourceVersion: "7" },
    node: `node-${i % nodes}`,
    podref: `default/p${i % nodes}-${Math.floor(i / nodes) >> 2}`,
    podUid: "uid",
  })) as unknown as Reserved[];

t.test("LeaderGc frees all that a thousand nodes have left at once, and asks for a pod once", async (t) => {
  const { look, deleted, asked } = worldOf();
  const all = many(1000);
  await look(all);
  t.equal(asked.filter((name) => name.startsWith("pods/")).length, 8_000, "of 32 addresses four are a pod's");
  t.equal(asked.filter((name) => name.startsWith("nodes/")).length, 1_000);
  await sleep(GRACE_MS + 5);
  await look(all);
  t.equal(deleted.length, 32_000);
});

const age = (ms: number) => ({ ...reservation, createdMs: Date.now() - ms });
for (const { when, bornMs, createdMs, lease, isFreed } of [
  { when: "a reservation is older than its Node object, whose agent never came", bornMs: 0, createdMs: 600_000, isFreed: true },
  { when: "a reservation is younger than its Node object", bornMs: 600_000, createdMs: 0, isFreed: false },
  { when: "the agent of a node that was made anew reports", bornMs: 0, createdMs: 600_000, lease: true, isFreed: false },
]) // biome-ignore format: rows
  t.test(`LeaderGc ${isFreed ? "frees" : "keeps"} an address when ${when}`, async (t) => {
    const { look, deleted, objects } = worldOf();
    const creationTimestamp = new Date(Date.now() - bornMs).toISOString();
    objects.set("nodes/node-a", {
      metadata: { creationTimestamp },
      status: { conditions: [{ type: "Ready", status: "True" }] },
    });
    const report = () => {
      if (lease) objects.set("leases/railnet-node-node-a", { spec: { renewTime: new Date().toISOString() } });
    };
    await looks(() => look([age(createdMs)]), 4, report);
    t.equal(deleted.includes("10.0.0.1"), isFreed);
  });

t.test("LeaderGc takes leases of nodes away that are gone, silent, and have nothing reserved", async (t) => {
  const { look, deleted, objects } = worldOf("nodes/node-b", "pods/p");
  for (const node of ["node-a", "node-b", "node-c"])
    objects.set(`leases/railnet-node-${node}`, { spec: { renewTime: "x" } });
  objects.set("leases/railnet-leader", {});
  await looks(look, 21); // node-a has a reservation of a pod that is there
  t.same(deleted, ["railnet-node-node-c"]);
});
