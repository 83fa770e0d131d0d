// Which reservations that somebody deleted are put back: those of living pods, and no others.
import t from "tap";
import type { Context } from "../../../daemonset/addresses/context.ts";
import { heal } from "../../../daemonset/addresses/heal.ts";
import { LeaderHeal } from "../../../daemonset/addresses/leader/heal-leader.ts";
import type { NodeState } from "../../../daemonset/addresses/leader/nodes.ts";
import { compactor } from "../../../daemonset/addresses/reserved.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import { ownerOf, poolOf } from "../../ipam/store/names.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";

const IP = "10.30.0.3";
const pool = poolOf("", "10.30.0.0/28");
const owner = { ...ownerOf("p"), podUid: "uid" };
const { signal } = new AbortController();

/** A cluster in which a pod's reservation was just deleted by hand. */
async function world() {
  const cluster = new MemoryCluster();
  const log = { debug() {}, info() {}, warn() {} };
  const store = new KubernetesStore({ cluster, mode: () => "absent", log, createsAdopted: true });
  await store.claim({ pool, ip: IP, owner });
  const reserved = compactor()(cluster.read("overlappingrangeipreservations", IP));
  await cluster.delete({ plural: "overlappingrangeipreservations" } as never, IP);
  const context = {
    cluster,
    store,
    log,
    mode: () => "absent",
    told: { putBack() {}, duplicate() {} },
  } as unknown as Context;
  return { cluster, context, reserved, isBack: () => cluster.names("overlappingrangeipreservations").length === 1 };
}

for (const { when, pod = {}, state = "down", isPutBack = false } of [
  { when: "the node is down and the pod runs", isPutBack: true },
  { when: "its pod is ending", pod: { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } } },
  { when: "its pod is another one of that name", pod: { metadata: { uid: "uid-2" } } },
  { when: "its pod has finished", pod: { status: { phase: "Succeeded" } } },
  { when: "the node lives, and does it itself", state: "ready" },
] as { when: string; pod?: { metadata?: object; status?: object }; state?: NodeState; isPutBack?: boolean }[])
  t.test(`LeaderHeal ${isPutBack ? "puts a reservation back" : "leaves it"} when ${when}`, async (t) => {
    const { cluster, context, reserved, isBack } = await world();
    const [namespace, name] = owner.podref.split("/");
    const metadata = { name, namespace, ...pod.metadata };
    const { uid = "uid" } = metadata as { uid?: string };
    const get = cluster.get.bind(cluster);
    cluster.get = (async (resource: { plural: string }, asked: string) =>
      resource.plural === "pods"
        ? { metadata: { ...metadata, uid }, status: { phase: "Running", ...pod.status } }
        : get(resource as never, asked)) as never;
    const healing = new LeaderHeal(context, () => state, 0);
    healing.onDeleted(reserved);
    await healing.look(signal);
    t.equal(isBack(), isPutBack);
  });

t.test("heal() takes back what it made when a DEL came meanwhile", async (t) => {
  const { cluster, context, isBack } = await world();
  let isHeld = true;
  cluster.before = (request) => {
    if (request.startsWith("POST")) isHeld = false;
  };
  await heal({ pool, ip: IP, owner }, () => isHeld, context, signal);
  t.ok(
    cluster.requests.some((request) => request.startsWith("POST")),
    "it was made",
  );
  t.equal(isBack(), false, "and is gone");
});
