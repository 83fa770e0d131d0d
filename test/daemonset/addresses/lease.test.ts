import t from "tap";
import { Election } from "../../../daemonset/addresses/leader/lease.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import type { Lease } from "../../../kubernetes/lease.ts";

/** Longer than any test: who waits for it never leads here. */
const HOUR_MS = 3_600_000;
const log = { debug() {}, info() {}, warn() {} };

/** As its last holder gave it back. */
const FREE: Lease = {
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  metadata: { name: "railnet-leader", resourceVersion: "0" },
  spec: { holderIdentity: "", leaseTransitions: 0 },
};

/** One Lease. The first write is carried out, and its answer lost. */
function forgetful(): Pick<Cluster, "get" | "replace"> {
  let lease = FREE;
  let writes = 0;
  const write = async (object: object) => {
    const { metadata, ...rest } = object as Lease;
    lease = { ...rest, metadata: { ...metadata, resourceVersion: `${++writes}` } };
    if (writes === 1) throw new Error("socket hang up");
    return lease;
  };
  return {
    get: (async () => lease) as Cluster["get"],
    replace: ((_, object) => write(object)) as Cluster["replace"],
  };
}

/** An agent's own waits keep no process alive. */
const awake = setInterval(() => {}, 1000);
t.teardown(() => clearInterval(awake));

t.test("Election leads at once with a Lease that it took without hearing so", async (t) => {
  const stop = new AbortController();
  const cluster = forgetful() as Cluster;
  const election = new Election({ cluster, identity: "node-a_1", log, durationMs: HOUR_MS, jitterMs: 1 });
  election.saw(FREE);
  const led = Promise.withResolvers<void>();
  const run = election.run(stop.signal, async () => led.resolve());
  await Promise.race([led.promise, run]);
  stop.abort();
  await run;
  const lease = await cluster.get<Lease>({} as never, "");
  t.equal(lease?.spec.leaseTransitions, 2, "taken a second time");
});

t.test("Election ends a term before anybody else can lead, when its Lease can be renewed no more", async (t) => {
  const stop = new AbortController();
  const durationMs = 600;
  let lease = FREE;
  let versions = 0;
  const clusterOf = (isCutOff: () => boolean) => {
    const answer = async (object?: object) => {
      if (isCutOff()) throw new Error("no route to host");
      if (object) lease = { ...(object as Lease), metadata: { ...FREE.metadata, resourceVersion: `${++versions}` } };
      return lease;
    };
    return { get: () => answer(), replace: (_: unknown, object: object) => answer(object) } as unknown as Cluster;
  };
  let isCutOff = false;
  const terms: AbortSignal[] = [];
  const lead = async (term: AbortSignal) => {
    terms.push(term);
    isCutOff = true; // the first leader, from now on
    await new Promise((resolve) => term.addEventListener("abort", resolve, { once: true }));
  };
  const options = { log, durationMs, renewMs: 50, jitterMs: 1 };
  const first = new Election({ ...options, cluster: clusterOf(() => isCutOff), identity: "node-a_1" });
  first.saw(FREE);
  const running = [first.run(stop.signal, lead)];
  while (terms.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const second = new Election({ ...options, cluster: clusterOf(() => false), identity: "node-b_1" });
  second.saw(lease);
  running.push(
    second.run(stop.signal, async (term) => {
      t.equal(terms[0]!.aborted, true, "the first one's term is over");
      terms.push(term);
      stop.abort();
    }),
  );
  await Promise.all(running);
  t.equal(terms.length, 2);
});

t.test("Election takes over from its own node's last process at its first look, and at no other", async (t) => {
  const heldBy = (holderIdentity: string, resourceVersion: string): Lease => ({
    ...FREE,
    metadata: { ...FREE.metadata, resourceVersion },
    spec: { holderIdentity },
  });
  for (const { seen, leads } of [
    { seen: [heldBy("node-a_0", "1")], leads: true },
    { seen: [heldBy("node-b_0", "1"), heldBy("node-a_0", "2")], leads: false },
  ]) {
    const stop = new AbortController();
    let hasLed = false;
    const cluster = {
      get: async () => seen.at(-1),
      replace: async (_: unknown, object: object) => object,
    } as unknown as Cluster;
    const election = new Election({ cluster, identity: "node-a_1", log, durationMs: HOUR_MS, jitterMs: 1 });
    for (const lease of seen) election.saw(lease);
    const run = election.run(stop.signal, async () => {
      hasLed = true;
      stop.abort();
    });
    await Promise.race([run, new Promise((resolve) => setTimeout(resolve, 300))]);
    t.equal(hasLed, leads);
    stop.abort();
    await run;
  }
});
