import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Context } from "../../../daemonset/addresses/context.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { FreedHistory } from "../../../daemonset/addresses/freed.ts";
import { LeaderGc } from "../../../daemonset/addresses/gc-leader.ts";
import type { Reserved } from "../../../daemonset/addresses/reserved.ts";
import type { KubeObject, Resource } from "../../../ipam/kubernetes/cluster.ts";

const GRACE_MS = 20;
const { signal } = new AbortController();

/** A cluster of these objects, by `plural/name`, and what was deleted in it. */
function worldOf(...there: readonly string[]) {
  const objects = new Map<string, object>(there.map((name) => [name, {}]));
  const deleted: string[] = [];
  const cluster = {
    get: async ({ plural }: Resource, name: string) => {
      const found = objects.get(`${plural}/${name}`);
      return found && { metadata: { name, uid: "uid" }, ...found };
    },
    delete: async (_: Resource, name: string) => deleted.push(name) > 0,
  };
  const log = { debug: () => {}, info: () => {}, warn: () => {} };
  const events = { onPool: () => {} };
  const context = { cluster, log, events, mode: () => "absent", counters: noCounts(), freed: new FreedHistory() };
  const stateOf = (node: string) => (objects.has(`nodes/${node}`) ? "ready" : "gone");
  const gc = new LeaderGc(context as unknown as Context, stateOf, GRACE_MS);
  return { objects, deleted, look: () => gc.look([reservation], signal) };
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

t.test("LeaderGc frees nothing of a pod that is there, whatever is known of its node", async (t) => {
  const { look, deleted } = worldOf("pods/p");
  await looks(look);
  t.same(deleted, []);
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
