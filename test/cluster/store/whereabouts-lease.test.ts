import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { WhereaboutsLease, type WhereaboutsLeaseOptions } from "../../../ipam/store/kubernetes/whereabouts-lease.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { StorePlace } from "./support/place.ts";

const PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const FOR_EVER_MS = 600_000;

const place = await StorePlace.start();
t.teardown(() => place[Symbol.asyncDispose]());
const cluster = await place.cluster();
const { raw } = place.api;
t.jobs = 1;

const open = (options: Partial<WhereaboutsLeaseOptions> = {}) =>
  new WhereaboutsLease({ cluster, gapMs: 0, ...options });
const read = async (): Promise<Json> => (await raw.request("GET", `${PATH}/whereabouts`)).body;
const now = (agoMs = 0): string => new Date(Date.now() - agoMs).toISOString().replace("Z", "000Z");
let turns = 0;

/** What Whereabouts writes when it takes the lease, and with an empty holder when it gives it back. */
async function theirs(holderIdentity: string, renewTime = now()): Promise<void> {
  if (holderIdentity) turns = ((await read()).spec?.leaseTransitions ?? 0) + 1;
  const spec = { holderIdentity, leaseDurationSeconds: 1, renewTime, acquireTime: renewTime, leaseTransitions: turns };
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: "whereabouts" }, spec };
  await raw.apply(lease);
}

/** @returns the lease as the work saw it. */
async function during(lease: WhereaboutsLease): Promise<Json> {
  let seen: Json;
  await lease.during(async () => {
    seen = await read();
  });
  return seen.spec;
}

const isFree = () => until("the lease was given back", async () => (await read()).spec.holderIdentity === "");

t.test("WhereaboutsLease.during() makes no lease where Whereabouts has none", async (t) => {
  t.equal(await during(open()), undefined);
  t.equal((await raw.request("GET", `${PATH}/whereabouts`)).status, 404);
});

t.test("WhereaboutsLease.during() holds the lease, and leaves Whereabouts' times in it", async (t) => {
  await theirs("default/p1");
  await theirs("");
  const before = (await read()).spec;
  const { holderIdentity, ...seen } = await during(open());
  t.equal(holderIdentity, "railnet");
  t.match(seen, { renewTime: before.renewTime, acquireTime: before.acquireTime, leaseDurationSeconds: 1 });
  t.equal(seen.leaseTransitions, before.leaseTransitions + 1);
});

t.test("WhereaboutsLease gives the lease back, also when the work fails", async (t) => {
  const lease = open();
  const fail = () => Promise.reject(new Error("of the work"));
  await t.rejects(lease.during(fail), { message: "of the work" });
  await isFree();
});

t.test("WhereaboutsLease.during() leaves a lease alone that nobody has renewed for ten minutes", async (t) => {
  await theirs("", now(700_000));
  t.equal((await during(open())).holderIdentity, "");
});

t.test(
  "WhereaboutsLease.during() takes turns with a Whereabouts that it sees alive, their clocks hours apart",
  async (t) => {
    const hoursAgo = 7 * 3_600_000;
    await theirs("", now(hoursAgo));
    const lease = open();
    t.equal((await during(lease)).holderIdentity, "", "nothing tells yet");
    await theirs("default/p0", now(hoursAgo));
    await theirs("", now(hoursAgo));
    t.equal((await during(lease)).holderIdentity, "railnet");
    await isFree();
  },
);

t.test("WhereaboutsLease.during() works without the lease when it does not get it in time", async (t) => {
  await theirs("default/p2");
  let isDone = false;
  const renewing = (async () => {
    for (; !isDone; await sleep(200)) await raw.merge(`${PATH}/whereabouts`, { spec: { renewTime: now() } });
  })();
  t.equal((await during(open({ waitMs: 500 }))).holderIdentity, "default/p2");
  isDone = true;
  await renewing;
});

t.test("WhereaboutsLease.during() takes the lease of a holder that renews no more", async (t) => {
  await theirs("default/p3");
  t.equal((await during(open({ waitMs: FOR_EVER_MS }))).holderIdentity, "railnet");
});

t.test("WhereaboutsLease.during() lets three turns of Whereabouts go first", async (t) => {
  await theirs("");
  await during(open());
  await isFree();
  const next = during(open({ gapMs: FOR_EVER_MS, waitMs: FOR_EVER_MS }));
  for (const pod of ["default/p4", "default/p5", "default/p6"]) {
    t.not((await read()).spec.holderIdentity, "railnet");
    await theirs(pod);
    await theirs("");
  }
  t.equal((await next).leaseTransitions, turns + 1);
});

t.test("WhereaboutsLease.during() has one turn for all work that comes while it is waited for", async (t) => {
  await theirs("");
  const lease = open();
  const [first, ...others] = await Promise.all([1, 2, 3].map(() => during(lease)));
  t.equal(first.holderIdentity, "railnet");
  for (const other of others) t.equal(other.leaseTransitions, first.leaseTransitions);
});

t.test("WhereaboutsLease of two processes: one after the other", async (t) => {
  await theirs("");
  let [holders, most] = [0, 0];
  const work = async () => {
    most = Math.max(most, ++holders);
    await sleep(50);
    holders--;
  };
  await Promise.all([1, 2, 3, 4].map(() => open({ waitMs: FOR_EVER_MS }).during(work)));
  t.equal(most, 1);
});
