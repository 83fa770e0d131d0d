// Turns with a live Whereabouts, with a clock of the test's own; test/cluster/store/whereabouts-lease asks the real server.
import t from "tap";
import { WhereaboutsLease, type WhereaboutsLeaseOptions } from "../../../ipam/store/kubernetes/whereabouts-lease.ts";
import { ApiError, LEASES } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../support/memory-cluster.ts";

const TURN = "railnet.io/turn";
const realNow = performance.now.bind(performance);
let aheadMs = 0;
performance.now = () => realNow() + aheadMs;

interface Written {
  readonly holderIdentity?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
  readonly turn?: number;
}
const now = (agoMs = 0) => new Date(Date.now() - agoMs).toISOString();

/** A cluster whose lease is as Whereabouts left it. */
async function clusterWith({ holderIdentity = "", renewTime = now(), leaseTransitions = 7, turn }: Written = {}) {
  const cluster = new MemoryCluster();
  const annotations = { ...(turn !== undefined && { [TURN]: `${turn}` }) };
  const spec = { holderIdentity, renewTime, acquireTime: renewTime, leaseDurationSeconds: 1, leaseTransitions };
  await cluster.create(LEASES, { metadata: { name: "whereabouts", annotations }, spec } as never);
  return cluster;
}

/** @returns the lease as the work saw it. */
async function during(
  cluster: MemoryCluster,
  options: Partial<WhereaboutsLeaseOptions> = {},
  lease = open(cluster, options),
) {
  let seen: ReturnType<MemoryCluster["read"]>;
  await lease.during(async () => {
    seen = cluster.read("leases", "whereabouts");
  });
  return seen;
}
const open = (cluster: MemoryCluster, options: Partial<WhereaboutsLeaseOptions> = {}) =>
  new WhereaboutsLease({ cluster, gapMs: 0, waitMs: 150, ...options });

for (const { when, lease, options = {}, holder } of [
  { when: "free, renewed lately", lease: {}, holder: "railnet" },
  { when: "held, and not looked at for long", lease: { holderIdentity: "team/a" }, holder: "team/a" },
  { when: "free, renewed ten minutes ago", lease: { renewTime: now(601_000) }, holder: "" },
  { when: "free, renewed in ten minutes by a clock that is ahead", lease: { renewTime: now(-602_000) }, holder: "" },
  { when: "free, renewed nine minutes ago", lease: { renewTime: now(540_000) }, holder: "railnet" },
  { when: "free, with no time that can be read", lease: { renewTime: "x" }, holder: "" },
  { when: "free, three turns after ours", lease: { turn: 4 }, options: { gapMs: 60_000 }, holder: "railnet" },
  { when: "free, two turns after ours", lease: { turn: 5 }, options: { gapMs: 60_000 }, holder: "" },
  { when: "free, and never was ours", lease: {}, options: { gapMs: 60_000 }, holder: "railnet" },
  { when: "free, two turns after ours, for as long as the gap", lease: { turn: 5 }, options: { gapMs: 0 }, holder: "railnet" },
] as { when: string; lease: Written; options?: Partial<WhereaboutsLeaseOptions>; holder: string }[]) // biome-ignore format: rows
  t.test(`WhereaboutsLease.during() of a lease that is ${when}: ${holder || "nobody"} has it`, async (t) => {
    const cluster = await clusterWith(lease);
    const before = cluster.read("leases", "whereabouts").spec;
    const { spec, metadata } = await during(cluster, options);
    t.equal(spec.holderIdentity, holder);
    t.same([spec.renewTime, spec.acquireTime], [before.renewTime, before.acquireTime], "Whereabouts' times stay");
    const isOurs = holder === "railnet";
    t.equal(spec.leaseTransitions, before.leaseTransitions + Number(isOurs));
    if (isOurs) t.equal(metadata.annotations[TURN], `${before.leaseTransitions + 1}`);
    if (isOurs) t.equal(spec.leaseDurationSeconds, 1);
    await new Promise(setImmediate);
    t.equal(cluster.read("leases", "whereabouts").spec.holderIdentity, isOurs ? "" : holder, "and it is given back");
  });

t.test("WhereaboutsLease.during() takes the lease of a holder that has not renewed it for a second, as seen here", async (t) => {
  const cluster = await clusterWith({ holderIdentity: "team/a" });
  const lease = open(cluster);
  t.equal((await during(cluster, {}, lease)).spec.holderIdentity, "team/a");
  aheadMs += 2_000;
  t.equal((await during(cluster, {}, lease)).spec.holderIdentity, "railnet");
}); // biome-ignore format: rows

t.test("WhereaboutsLease.during() believes that Whereabouts lives when it renews, whatever its clock says", async (t) => {
  const cluster = await clusterWith({ renewTime: now(7 * 3_600_000) });
  const lease = open(cluster);
  t.equal((await during(cluster, {}, lease)).spec.holderIdentity, "", "nothing tells yet");
  await cluster.mergePatch(LEASES, "whereabouts", { spec: { renewTime: now(7 * 3_600_000 - 5_000) } });
  t.equal((await during(cluster, {}, lease)).spec.holderIdentity, "railnet");
  await new Promise(setImmediate);
  aheadMs += 601_000;
  t.equal((await during(cluster, {}, lease)).spec.holderIdentity, "", "and has fallen silent since");
}); // biome-ignore format: rows

t.test("WhereaboutsLease.during() has one turn for all that comes while it is waited for, and gives it back after the last", async (t) => {
  const cluster = await clusterWith();
  const lease = open(cluster);
  const held: string[] = [];
  const work = async () => {
    await new Promise(setImmediate);
    held.push(cluster.read("leases", "whereabouts").spec.holderIdentity);
  };
  await Promise.all([lease.during(work), lease.during(work), lease.during(work)]);
  t.same(held, ["railnet", "railnet", "railnet"]);
  t.equal(cluster.requests.filter((one) => one.startsWith("PUT")).length, 2, "taken once, given back once");
  await t.rejects(lease.during(() => Promise.reject(new Error("of the work"))), { message: "of the work" });
  await new Promise(setImmediate);
  t.equal(cluster.read("leases", "whereabouts").spec.holderIdentity, "", "also when the work fails");
}); // biome-ignore format: rows

t.test("WhereaboutsLease of two processes: one after the other", async (t) => {
  const cluster = await clusterWith();
  let [now, most] = [0, 0];
  const work = async () => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
  };
  await Promise.all([1, 2].map(() => open(cluster, { waitMs: 10_000 }).during(work)));
  t.equal(most, 1);
});

t.test("WhereaboutsLease.during() works all the same when the lease makes trouble", async (t) => {
  const cluster = await clusterWith();
  const trouble = { GET: { status: 503 }, PUT: { status: 403 } };
  for (const [verb, error] of Object.entries(trouble)) {
    cluster.before = (request) => {
      if (request.startsWith(verb)) throw new ApiError("planted", error);
    };
    const asked = cluster.requests.length;
    t.equal((await during(cluster)).spec.holderIdentity, "");
    t.ok(cluster.requests.length - asked <= 2, `${verb}: nobody waits for it`);
  }
  let conflicts = 0;
  cluster.before = (request) => {
    if (request.startsWith("PUT") && conflicts++ === 0) throw new ApiError("planted", { status: 409, reason: "Conflict" });
  };
  t.equal((await during(cluster)).spec.holderIdentity, "railnet", "after a lost race it looks again");
  cluster.before = () => {};
  const none = new MemoryCluster();
  t.equal(await during(none), undefined, "where Whereabouts has none, none is made");
  t.same(none.names("leases"), []);
}); // biome-ignore format: rows
