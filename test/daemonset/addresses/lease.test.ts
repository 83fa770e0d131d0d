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
