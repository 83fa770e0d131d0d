import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { AddressEvents } from "../../../daemonset/addresses/address-events.ts";
import type { Context } from "../../../daemonset/addresses/context.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import type { Pod } from "../../../daemonset/addresses/evidence.ts";
import { FreedHistory } from "../../../daemonset/addresses/freed.ts";
import { NodeGc } from "../../../daemonset/addresses/node/gc-node.ts";
import type { Sandboxes } from "../../../daemonset/addresses/node/sandboxes.ts";
import type { Reserved } from "../../../daemonset/addresses/reserved.ts";
import type { ClaimRecord } from "../../../ipam/journal.ts";
import type { KubeObject, Resource } from "../../../kubernetes/cluster.ts";

const GRACE_MS = 20;
const MIRROR = "kubernetes.io/config.mirror";
const { signal } = new AbortController();
const pool = { name: "10.0.0.0-24", cidr: "10.0.0.0/24", network: "", overlapping: true };

const held = (containerId: string, ip: string): ClaimRecord => ({
  version: 1,
  phase: "held",
  network: "rail0",
  storage: { kind: "kubernetes", kubeconfig: "/k" },
  owner: { podref: "default/p", ifname: "net1", containerId, podUid: "uid", node: "node-a" },
  netns: `/run/netns/${containerId}`,
  netnsInode: 7,
  since: "2026-01-01T00:00:00Z",
  addresses: [{ pool, ip }],
});

const reserved = (containerId: string, ip: string, podUid = "uid"): Reserved =>
  ({
    metadata: { name: ip, namespace: "kube-system", uid: containerId, resourceVersion: "7" },
    ...{ podref: "default/p", ifname: "net1", containerId, podUid, node: "node-a", pool: pool.name, network: "" },
  }) satisfies KubeObject as Reserved;

/** What is freed on a node with this journal, whose sandboxes all run but for `dead`, and where this pod is the cluster's. */
async function freed(
  records: ClaimRecord[],
  own: Reserved[],
  { pod, dead = "", late = [] }: { pod: Pod; dead?: string; late?: ClaimRecord[] },
) {
  const gone = new Set<string>();
  const cluster = {
    list: async () => ({ items: [pod], resourceVersion: "7" }),
    get: async (_: Resource, name: string) => (name === pod.metadata.name ? pod : undefined),
    delete: async (_: Resource, name: string) => gone.add(name) !== undefined,
  };
  const log = { debug: () => {}, info: () => {}, warn: () => {} };
  const context = {
    cluster,
    told: new AddressEvents(log, { onPool() {} }, noCounts(), new FreedHistory()),
    mode: () => "absent",
    node: "node-a",
  };
  const sandboxes = {
    journal: { all: () => records, find: (id: string) => records.find(({ owner }) => owner.containerId === id) },
    isAlive: ({ owner }: ClaimRecord) => owner.containerId !== dead,
    isReleased: () => false,
    end: async ({ addresses }: ClaimRecord) => void gone.add(addresses[0]!.ip),
    lock: async () => {
      records.push(...late.splice(0)); // whoever had the lock before
      return { [Symbol.dispose]() {} };
    },
  };
  const gc = new NodeGc(context as unknown as Context, sandboxes as unknown as Sandboxes, GRACE_MS);
  for (let i = 0; i < 3; i++) {
    await gc.look(own, signal);
    await sleep(GRACE_MS + 5);
  }
  return [...gone];
}

const running = (uid: string, more: object = {}): Pod => ({
  metadata: { name: "p", namespace: "default", uid, ...more },
  status: { phase: "Running" },
});

for (const { when, records = [], own = [reserved("c1", "10.0.0.1")], pod = running("uid"), dead = "", want = [] } of [
  { when: "its pod is another one", pod: running("uid-2"), want: ["10.0.0.1"] },
  { when: "its pod lives, and no sandbox is known" },
  {
    when: "its static pod lives, and no sandbox is known",
    pod: running("mirror", { annotations: { [MIRROR]: "uid" } }),
  },
  {
    when: "its static pod was configured anew",
    pod: running("mirror", { annotations: { [MIRROR]: "uid-2" } }),
    want: ["10.0.0.1"],
  },
  { when: "its pod lives in this sandbox", records: [held("c1", "10.0.0.1")] },
  {
    when: "its pod lives in this sandbox, whose ADD gave it up and took another address",
    records: [held("c1", "10.0.0.2")],
    own: [reserved("c1", "10.0.0.1"), reserved("c1", "10.0.0.2")],
    want: ["10.0.0.1"],
  },
  {
    when: "its pod lives in this sandbox, whose ADD still runs",
    records: [{ ...held("c1", "10.0.0.2"), phase: "claiming" }],
    own: [reserved("c1", "10.0.0.1"), reserved("c1", "10.0.0.2")],
  },
  { when: "its pod lives in a later sandbox, by the same address", records: [held("c2", "10.0.0.1")] },
  {
    when: "its pod lives in a later sandbox, by another address",
    records: [held("c2", "10.0.0.2")],
    own: [reserved("c1", "10.0.0.1"), reserved("c2", "10.0.0.2")],
    want: ["10.0.0.1"],
  },
  {
    when: "the same, and the journal still has the first one",
    records: [held("c1", "10.0.0.1"), held("c2", "10.0.0.2")],
    own: [reserved("c1", "10.0.0.1"), reserved("c2", "10.0.0.2")],
    dead: "c1",
    want: ["10.0.0.1"],
  },
  {
    when: "the same, and an old Whereabouts named no interface",
    records: [held("c2", "10.0.0.2")],
    own: [{ ...reserved("c1", "10.0.0.1"), ifname: "" }, reserved("c2", "10.0.0.2")],
    want: ["10.0.0.1"],
  },
  {
    when: "no interface is named, and its pod lives in no later sandbox",
    own: [{ ...reserved("c1", "10.0.0.1"), ifname: "" }],
  },
  {
    when: "its pod is another one, and a finalizer holds what is deleted already",
    own: [{ ...reserved("c1", "10.0.0.1"), isEnding: true }],
    pod: running("uid-2"),
  },
  {
    when: "the later sandbox is over, too",
    records: [held("c2", "10.0.0.2")],
    own: [reserved("c1", "10.0.0.1"), reserved("c2", "10.0.0.2")],
    dead: "c2",
  },
] as { when: string; records?: ClaimRecord[]; own?: Reserved[]; pod?: Pod; dead?: string; want?: string[] }[])
  t.test(`NodeGc frees ${want.length > 0 ? "what was left" : "nothing"} when ${when}`, async (t) => {
    t.same(await freed(records, own, { pod, dead }), want);
  });

t.test("NodeGc frees nothing that an ADD has taken while the lock was waited for", async (t) => {
  const late = [held("c1", "10.0.0.1")];
  t.same(await freed([], [reserved("c1", "10.0.0.1")], { pod: running("uid-2"), late }), []);
  t.same(late, [], "the lock was taken");
});
