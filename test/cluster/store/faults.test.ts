// What a store makes of answers that are lost, late or wrong: every request of a claim and a release, in both modes.
import t from "tap";
import type { Mode } from "../../../ipam/mode.ts";
import { IPAM_STORE_STEPS } from "../../../ipam/steps.ts";
import { type Claim, StoreError } from "../../../ipam/store/store.ts";
import { ApiError } from "../../../kubernetes/cluster.ts";
import { type Effect, type Fault, FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { newNetwork, ownerOf, poolOf } from "../../ipam/store/names.ts";
import { OBJECTS, StorePlace } from "./support/place.ts";

const place = await StorePlace.start();
const proxy = await FaultProxy.start(place.api);
t.teardown(async () => {
  await proxy.stop();
  await place[Symbol.asyncDispose]();
});
t.jobs = 1;

// The first requests of a server take longer than the time limit below.
const warm: Claim = { pool: poolOf(newNetwork(), "10.20.0.0/24"), ip: "10.20.0.5", owner: ownerOf("p") };
for (const mode of ["absent", "coexist"] as const) {
  const store = await place.open(mode);
  await store.claim(warm);
  await store.release(warm);
}

/** A short time limit: what hangs is given up soon. */
const open = async (mode: Mode) => place.open(mode, { cluster: await place.cluster(proxy.url, 800) });

/** What is there of a network: reservations and records by container ID. */
async function left({ pool }: Claim): Promise<string[]> {
  const [reserved, recorded] = await Promise.all([place.reservedIn(pool), place.recordedIn(pool)]);
  return [
    ...[...reserved].map((one) => `reserved ${one.join(" ")}`),
    ...[...recorded].map((one) => `recorded ${one.join(" ")}`),
  ];
}

const EFFECTS: readonly Effect[] = [
  { kind: "answer", status: 504, when: "after" },
  { kind: "answer", status: 504, when: "before" },
  { kind: "answer", status: 500, when: "after" },
  { kind: "answer", status: 500, when: "before" },
  { kind: "answer", status: 503, when: "before" },
  { kind: "answer", status: 409, when: "before" },
  { kind: "answer", status: 429, when: "before", retryAfter: 0 },
  { kind: "cut", when: "after" },
  { kind: "cut", when: "before" },
  { kind: "hang", when: "after" },
  { kind: "hang", when: "before" },
];
const RESERVATION = /overlappingrangeipreservations/;
const POOL = /ippools/;
const words = (effect: Effect) => Object.values(effect).join(" ");

/** The writes of a claim and of a release. */
const WRITES = [
  { mode: "absent", write: "claim", method: "POST", path: RESERVATION },
  { mode: "absent", write: "hand-over", method: "PATCH", path: RESERVATION },
  { mode: "absent", write: "release", method: "DELETE", path: RESERVATION },
  { mode: "coexist", write: "claim", method: "POST", path: RESERVATION },
  { mode: "coexist", write: "claim", method: "PATCH", path: POOL },
  { mode: "coexist", write: "hand-over", method: "PATCH", path: RESERVATION },
  { mode: "coexist", write: "hand-over", method: "PATCH", path: POOL },
  { mode: "coexist", write: "release", method: "PATCH", path: POOL },
  { mode: "coexist", write: "release", method: "DELETE", path: RESERVATION },
] as const;

for (const { mode, write, method, path } of WRITES)
  for (const effect of EFFECTS)
    t.test(`KubernetesStore, mode ${mode}: ${write}, ${method} ${path.source}: ${words(effect)}`, async (t) => {
      const claim: Claim = { pool: poolOf(newNetwork(), "10.20.0.0/24"), ip: "10.20.0.5", owner: ownerOf("p", "new") };
      const direct = await place.open(mode);
      if (write === "hand-over") await direct.claim({ ...claim, owner: ownerOf("p", "old") });
      if (write === "release") await direct.claim(claim);
      const store = await open(mode);
      await store.taken(claim.pool);
      let met = 0;
      const fault: Fault = { effect, method, path, nth: 1 };
      const forget = proxy.on(fault);
      met -= proxy.counted(new RegExp(`^${method} `));
      const work = write === "release" ? store.release(claim) : store.claim(claim);
      const outcome = await work.catch((error: unknown) => error);
      met += proxy.counted(new RegExp(`^${method} `));
      forget();
      t.ok(met > 0, "the request came by");
      await (write === "release"
        ? checkRelease(t, claim, effect, outcome)
        : checkClaim(t, mode, claim, effect, outcome));
      for (const sandbox of ["new", "old"])
        await retry(() => direct.release({ ...claim, owner: ownerOf("p", sandbox) }));
      t.same(await left(claim), [], "nothing is left when both sandboxes are gone");
    });

type Tap = Pick<typeof t, "ok" | "same" | "match" | "equal">;

/** Whether the client cannot know what the server did. These it knows: the server has said that it did nothing. */
const isDoubtful = (effect: Effect): boolean => effect.kind !== "answer" || ![409, 429, 503].includes(effect.status);

/** `unavailable`: the first write was not done. `unclear`: it may have been, and only what leaves a doubt may be called so. */
async function checkError(t: Tap, { kind, message }: StoreError, effect: Effect, isUndone: () => Promise<boolean>) {
  t.ok(kind === "unavailable" || (kind === "unclear" && isDoubtful(effect)), `${kind}: ${message}`);
  const isSecond = /cannot patch ippools/.test(message) && !/cannot release/.test(message); // a reservation was made before
  if (kind === "unavailable" && !isSecond) t.ok(await isUndone(), `${message}: nothing was done`);
}

/** Either the claim is told to be made, and it is; or a StoreError of a right kind comes. */
async function checkClaim(t: Tap, mode: Mode, claim: Claim, effect: Effect, outcome: unknown): Promise<void> {
  if (outcome instanceof StoreError)
    return checkError(
      t,
      outcome,
      effect,
      async () => !(await left(claim)).some((line) => line.endsWith(claim.owner.containerId)),
    );
  t.equal(outcome, undefined, String(outcome));
  const [ip, id] = [claim.ip, claim.owner.containerId];
  t.same(await left(claim), [`reserved ${ip} ${id}`, ...(mode === "coexist" ? [`recorded ${ip} ${id}`] : [])]);
}

async function checkRelease(t: Tap, claim: Claim, effect: Effect, outcome: unknown): Promise<void> {
  if (outcome instanceof StoreError)
    return checkError(t, outcome, effect, async () =>
      (await left(claim)).some((line) => line.startsWith(`reserved ${claim.ip}`)),
    );
  t.match(String(outcome), /^(released|absent)$/);
  t.same(await left(claim), []);
}

async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await work();
    } catch (error) {
      if (attempt === 5) throw error;
    }
}

for (const mode of ["absent", "coexist"] as const)
  for (const step of IPAM_STORE_STEPS)
    for (const write of ["claim", "hand-over", "release"] as const)
      t.test(`KubernetesStore, mode ${mode}: the process dies in a ${write} after ${step}`, async (t) => {
        const claim: Claim = {
          pool: poolOf(newNetwork(), "10.20.0.0/24"),
          ip: "10.20.0.5",
          owner: ownerOf("p", "new"),
        };
        const next = await place.open(mode);
        if (write === "hand-over") await next.claim({ ...claim, owner: ownerOf("p", "old") });
        if (write === "release") await next.claim(claim);
        const dying = await place.open(mode, { step: (at) => at === step && dead() });
        await (write === "release" ? dying.release(claim) : dying.claim(claim)).catch(() => {});
        if (write === "hand-over") t.equal(await next.release({ ...claim, owner: ownerOf("p", "older") }), "foreign");
        t.equal((await next.holder(claim.pool, claim.ip))?.podref ?? "team/p", "team/p");
        for (const sandbox of ["old", "new"]) await next.release({ ...claim, owner: ownerOf("p", sandbox) });
        t.same(await left(claim), [], "nothing is left");
        t.equal(await next.claim({ ...claim, owner: ownerOf("q") }), undefined, "somebody else can have it");
      });

function dead(): never {
  throw new Error("killed");
}

for (const mode of ["absent", "coexist"] as const)
  t.test(`KubernetesStore, mode ${mode}: a random walk under faults ends with what it was told`, async (t) => {
    const pool = poolOf(newNetwork(), "10.20.0.0/24");
    const stores = await Promise.all([open(mode), open(mode), open(mode)]);
    for (const method of ["POST", "PATCH", "DELETE", "GET"])
      for (const effect of EFFECTS.filter(({ kind }) => kind !== "hang"))
        proxy.on({ effect, method, path: /whereabouts/, probability: 0.02 });
    const held = new Map<string, string>();
    await Promise.all(
      stores.map(async (store, s) => {
        for (let round = 0; round < 25; round++) {
          const claim = { pool, ip: `10.20.0.${(round % 12) + 1}`, owner: ownerOf(`s${s}-${round}`) };
          const holder = await retryUntilClear(() => store.claim(claim));
          if (holder) continue;
          t.notOk(held.has(claim.ip), `${claim.ip} was free`);
          held.set(claim.ip, claim.owner.containerId);
          if (round % 3 === 2) continue;
          held.delete(claim.ip);
          await retryUntilClear(() => store.release(claim));
        }
      }),
    );
    await proxy.heal();
    t.same([...(await place.reservedIn(pool))].sort(), [...held].sort());
    if (mode === "coexist") t.same([...(await place.recordedIn(pool))].sort(), [...held].sort());
  });

/** As the journal does: again until somebody knows. */
async function retryUntilClear<T>(work: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind === "refused") throw error;
    }
}

for (const { count, kind, message } of [
  { count: 10, kind: "unclear", message: /cannot record an address in pool .*tried 6 times/ },
  {
    count: 5000,
    kind: "refused",
    message: /it has 5000 records, and one object holds no more than .*use another range/,
  },
])
  t.test(`KubernetesStore, mode coexist: a pool of ${count} records that cannot be written is ${kind}`, async (t) => {
    const claim: Claim = { pool: poolOf(newNetwork(), "10.20.0.0/16"), ip: "10.20.250.5", owner: ownerOf("p") };
    const record = (i: number) => [i + 1, { id: `c${i}`, podref: `team/p${i}`, ifname: "net1" }];
    await place.api.raw.post(`${OBJECTS}/ippools`, {
      apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
      kind: "IPPool",
      metadata: { name: claim.pool.name },
      spec: {
        range: claim.pool.cidr,
        allocations: Object.fromEntries(Array.from({ length: count }, (_, i) => record(i))),
      },
    });
    const store = await place.open("coexist", { cluster: await place.cluster(proxy.url) });
    const heal = proxy.on({ effect: { kind: "answer", status: 500, when: "before" }, method: "PATCH", path: POOL });
    const error = (await store.claim(claim).catch((e: unknown) => e)) as StoreError;
    heal();
    t.equal(error.kind, kind);
    t.match(error.message, message);
    t.equal(await store.release(claim), "released", "the reservation goes");
    t.same(await place.reservations(claim.pool.network), []);
  });

t.test("KubernetesStore says that the server is away, and works when it is back", async (t) => {
  const store = await place.open("absent", { cluster: await place.cluster(proxy.url, 30_000) });
  const claim = { pool: poolOf(newNetwork(), "10.20.0.0/24"), ip: "10.20.0.5", owner: ownerOf("p") };
  await proxy.down();
  const error = await store.claim(claim).catch((e: unknown) => e);
  t.ok(error instanceof StoreError && error.kind === "unavailable", String(error));
  t.match(String(error), /cannot claim 10\.20\.0\.5 in pool .*: cannot get ippools .* at https:/);
  t.equal((await store.check().catch((e) => e)).kind, "unavailable");
  await proxy.up();
  t.equal(await store.claim(claim), undefined);
});

t.test("KubernetesStore names the right that is missing, and the definitions that are", async (t) => {
  const { api } = place;
  const pool = poolOf(newNetwork(), "10.20.0.0/24");
  const claim = { pool, ip: "10.20.0.5", owner: ownerOf("p") };
  await api.raw.apply({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "nobody", namespace: "kube-system" },
  });
  const { connect } = await import("../../../ipam/connect.ts");
  const kubeconfig = api.kubeconfig({ token: await api.token("nobody"), namespace: "kube-system" });
  const powerless = await place.open("absent", { cluster: await connect({ kubeconfig }) });
  for (const call of [() => powerless.check(), () => powerless.claim(claim), () => powerless.find(pool, claim.owner)]) {
    const error = (await call().catch((e: unknown) => e)) as StoreError;
    t.equal(error.kind, "refused", error.message);
    t.match(error.message, /forbidden.*allow it as manifests\/rbac\.yaml does/s);
    t.ok(error.cause instanceof ApiError);
  }
  const elsewhere = await place.open("absent", { cluster: misplaced(await place.cluster()) });
  const error = (await elsewhere.check().catch((e: unknown) => e)) as StoreError;
  t.equal(error.kind, "refused", error.message);
  t.match(error.message, /not served here: kubectl apply -f manifests\/crds/);
  t.equal((await api.raw.request("GET", `${OBJECTS}/ippools`)).status, 200, "and they are served where they should be");
});

/** The same cluster, asked for a version that nobody serves. */
function misplaced(cluster: Awaited<ReturnType<StorePlace["cluster"]>>): typeof cluster {
  const get: typeof cluster.get = (resource, name, at) => cluster.get({ ...resource, version: "v9" }, name, at);
  return new Proxy(cluster, { get: (target, key) => (key === "get" ? get : Reflect.get(target, key).bind?.(target)) });
}
