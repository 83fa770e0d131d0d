// The Kubernetes store on an API server in memory: the contract of every store, and every request of it that goes wrong in every
// way. test/cluster/store asks the same of a real server, in minutes.
import t from "tap";
import { toNumber, toText } from "../../../ipam/address.ts";
import type { Mode } from "../../../ipam/mode.ts";
import { KubernetesStore, type KubernetesStoreOptions } from "../../../ipam/store/kubernetes.ts";
import { type Claim, type Pool, type Store, StoreError } from "../../../ipam/store/store.ts";
import { ApiError, IP_POOLS, type KubeObject, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../support/memory-cluster.ts";
import { testStore } from "./contract.ts";
import { newNetwork, ownerOf, poolOf } from "./names.ts";

const log = { info() {}, warn() {} };

function open(cluster: MemoryCluster, mode: Mode, options: Partial<KubernetesStoreOptions> = {}): KubernetesStore {
  return new KubernetesStore({ cluster, mode: () => mode, log, createsAdopted: true, gapMs: 0, ...options });
}

/** Container ID by address: of the reservations through a pool. */
function reservedIn(cluster: MemoryCluster, { name, network }: Pool): Map<string, string> {
  const found = cluster.names("overlappingrangeipreservations").flatMap((one) => {
    const { metadata, spec } = cluster.read("overlappingrangeipreservations", one);
    return metadata.labels["railnet.io/pool"] === name ? [[one.slice(network.length + 1), spec.containerid]] : [];
  });
  return new Map(found.map(([ip, id]) => [ip.includes("-") ? canonical(ip.replaceAll("-", ":")) : ip, id]));
}

/** Container ID by address: of the records of a pool. */
function recordedIn(cluster: MemoryCluster, { name, cidr }: Pool): Map<string, string> {
  const [base = ""] = cidr.split("/");
  const records: Record<string, { id: string }> = cluster.read("ippools", name)?.spec.allocations ?? {};
  const at = (key: string) => toText({ isV6: base.includes(":"), value: toNumber(base) + BigInt(key) });
  return new Map(Object.entries(records).map(([key, { id }]) => [at(key), id]));
}

const canonical = (ip: string): string => new URL(`http://[${ip}]`).hostname.slice(1, -1);

/** Reservation and record of an address say the same, or it is counted as held by nobody known. */
function bothIn(cluster: MemoryCluster, pool: Pool): Map<string, string> {
  const [reserved, recorded] = [reservedIn(cluster, pool), recordedIn(cluster, pool)];
  const ips = new Set([...reserved.keys(), ...recorded.keys()]);
  return new Map([...ips].map((ip) => [ip, reserved.get(ip) === recorded.get(ip) ? reserved.get(ip)! : "differ"]));
}

const cluster = new MemoryCluster();
const place = (mode: Mode, look: typeof reservedIn, options: Partial<KubernetesStoreOptions> = {}) => ({
  open: () => open(cluster, mode, options),
  look: (pool: Pool) => look(cluster, pool),
});
testStore("KubernetesStore, mode absent", place("absent", reservedIn));
testStore("KubernetesStore, mode coexist", place("coexist", bothIn));
testStore("KubernetesStore, pool not adopted", place("absent", bothIn, { createsAdopted: false }));
testStore("KubernetesStore", place("absent", recordedIn), { overlapping: false });

/** What a request may come to. */
const FAULTS = {
  "503 before": { when: "before", isUnclear: false, status: 503 },
  "409 before": { when: "before", isUnclear: false, status: 409 },
  "403 before": { when: "before", isUnclear: false, status: 403 },
  "no answer before": { when: "before", isUnclear: true, status: 0 },
  "no answer after": { when: "after", isUnclear: true, status: 0 },
  "504 after": { when: "after", isUnclear: true, status: 504 },
} as const;
type Fault = (typeof FAULTS)[keyof typeof FAULTS];

/** The requests that are not of a watch: each of them can go wrong. */
const METHODS = ["get", "list", "create", "patch", "mergePatch", "replace", "delete"];

/** A cluster whose request number `nth` comes to that. @returns how many there were, too. */
function faulty(
  cluster: MemoryCluster,
  nth: number,
  { when, isUnclear, status }: Fault,
): [MemoryCluster, () => number] {
  let asked = 0;
  const reason = status === 409 ? "Conflict" : "";
  const through = new Proxy(cluster, {
    get(target, key) {
      const method = Reflect.get(target, key).bind?.(target);
      if (!METHODS.includes(String(key))) return method ?? Reflect.get(target, key);
      return async (...args: unknown[]) => {
        const isHit = ++asked === nth;
        const isRead = key === "get" || key === "list";
        const error = new ApiError("planted", { status, reason, isUnclear: isUnclear && !isRead });
        if (isHit && when === "before") throw error;
        const answer = await method(...args);
        if (isHit) throw error;
        return answer;
      };
    },
  });
  return [through, () => asked];
}

const left = (cluster: MemoryCluster, pool: Pool): string[] => [
  ...[...reservedIn(cluster, pool)].map((one) => `reserved ${one.join(" ")}`),
  ...[...recordedIn(cluster, pool)].map((one) => `recorded ${one.join(" ")}`),
];

for (const mode of ["absent", "coexist"] as const)
  for (const what of ["claim", "hand-over", "release", "claim of somebody's"] as const)
    t.test(`KubernetesStore, mode ${mode}: each request of a ${what} goes wrong in each way`, async (t) => {
      for (const [words, fault] of Object.entries(FAULTS))
        for (let nth = 1; await tryOut(mode, what, nth, fault, `${words} of request ${nth}`); nth++) t.ok(nth < 20);
      t.pass();
    });

/** @returns false when there was no such request. */
async function tryOut(mode: Mode, what: string, nth: number, fault: Fault, words: string): Promise<boolean> {
  const cluster = new MemoryCluster();
  const direct = open(cluster, mode);
  const pool = poolOf(newNetwork(), "10.20.0.0/24");
  const claim: Claim = { pool, ip: "10.20.0.5", owner: ownerOf("p", "new") };
  const others = { ...claim, owner: ownerOf("q") };
  const old = { ...claim, owner: ownerOf("p", "old") };
  await direct.taken(pool);
  if (what === "hand-over") await direct.claim(old);
  if (what === "release") await direct.claim(claim);
  if (what === "claim of somebody's") await direct.claim(others);
  const [through, asked] = faulty(cluster, nth, fault);
  const store: Store = open(through, mode);
  const outcome = await (what === "release" ? store.release(claim) : store.claim(claim)).catch((e: unknown) => e);
  if (asked() < nth) return false;

  const there = left(cluster, pool);
  const mine = there.filter((line) => line.endsWith(claim.owner.containerId));
  const whole = mode === "coexist" ? 2 : 1;
  if (outcome instanceof StoreError) {
    t.equal(outcome.kind, kindFor(outcome, fault), `${words}: ${outcome.message}`);
    if (outcome.kind === "unavailable" && what === "release" && mode === "absent")
      t.equal(mine.length, whole, `${words}: nothing was done`);
  } else if (what === "release") {
    t.ok(outcome === "released" || outcome === "absent", `${words}: ${outcome}`);
    t.same(there, [], words);
  } else if (what === "claim of somebody's") t.match(outcome, { podref: "team/q" }, words);
  else {
    t.equal(outcome, undefined, words);
    t.equal(mine.length, whole, `${words}: what it was told is so: ${there}`);
    t.equal(there.length, whole, `${words}: and nothing else is there: ${there}`);
  }
  if (what === "claim of somebody's") {
    t.equal(there.length, whole, `${words}: it is the other's alone: ${there}`);
    t.equal(await direct.release(others), "released", words);
  }
  for (const one of [claim, old]) await direct.release(one);
  t.same(left(cluster, pool), [], `${words}: nothing is left when all are gone`);
  return true;
}

/** Which words there are for it: `unclear` only where nobody can know, `refused` only where somebody has to change something. */
function kindFor({ kind }: StoreError, { isUnclear, status }: Fault): string {
  if (status === 403) return "refused";
  return isUnclear && kind === "unclear" ? "unclear" : "unavailable";
}

t.test("KubernetesStore tells a restored server also by answers that came in another order than they were given", async (t) => {
  const cluster = new MemoryCluster();
  const restored: string[] = [];
  const pool = poolOf(newNetwork(), "10.20.0.0/24");
  const versions = { "10.20.0.1": 205, "10.20.0.2": 210, "10.20.0.3": 208, "10.20.0.4": 209 };
  const waiting = new Map<string, () => void>();
  const told = new Proxy(cluster, {
    get: (target, key) =>
      key === "create"
        ? async (resource: typeof RESERVATIONS, object: KubeObject) => {
            const made = await target.create(resource, object);
            const ip = made.metadata.name.slice(pool.network.length + 1) as keyof typeof versions;
            if (!versions[ip]) return made;
            if (ip === "10.20.0.1") await new Promise<void>((resolve) => waiting.set(ip, resolve));
            return { ...made, metadata: { ...made.metadata, resourceVersion: `${versions[ip]}` } };
          }
        : (Reflect.get(target, key).bind?.(target) ?? Reflect.get(target, key)),
  });
  const store = open(told, "absent", { onRestored: (why) => restored.push(why) });
  const claim = (ip: string) => store.claim({ pool, ip, owner: ownerOf(ip) });
  await store.taken(pool);
  const first = claim("10.20.0.1");
  await claim("10.20.0.2");
  waiting.get("10.20.0.1")!();
  await first;
  t.same(restored, [], "205 was given before 210, and came after it");
  await t.rejects(claim("10.20.0.3"), { kind: "unclear", message: /restored from a backup: its versions went back from 210 to 208/ });
  t.equal(restored.length, 1);
  await claim("10.20.0.4");
  t.equal(restored.length, 1, "told once: it counts on from there");
}); // biome-ignore format: rows

t.test(
  "KubernetesStore looks at the records of a pool again when they are old, and not at all reservations",
  async (t) => {
    const cluster = new MemoryCluster();
    let nowMs = 0;
    const store = open(cluster, "coexist", { clock: () => nowMs });
    const pool = poolOf(newNetwork(), "10.20.0.0/24");
    const looks = async (afterMs: number) => {
      nowMs += afterMs;
      const before = cluster.requests.length;
      await store.taken(pool);
      return cluster.requests.slice(before).map((one) => one.split(" ").slice(0, 2).join(" "));
    };
    await store.taken(pool);
    t.same(await looks(10_000), [], "as old as it may be");
    t.same(await looks(1), ["GET ippools"]);
    t.same(await looks(0), [], "it is new now");
  },
);

t.test("KubernetesStore: where records decide, a reservation of another pool takes no address", async (t) => {
  const cluster = new MemoryCluster();
  const network = newNetwork();
  const wide = poolOf(network, "10.20.0.0/24");
  const own = poolOf(network, "10.20.0.0/28", { overlapping: false });
  const store = open(cluster, "coexist");
  await store.claim({ pool: wide, ip: "10.20.0.5", owner: ownerOf("p") });
  t.notOk((await store.taken(own, { fresh: true })).has(toNumber("10.20.0.5")));
  t.equal(await store.claim({ pool: own, ip: "10.20.0.5", owner: ownerOf("q") }), undefined);
});

for (const mode of ["absent", "coexist"] as const)
  for (const { whose, id, want } of [
    { whose: "its own", id: ownerOf("p").containerId, want: "released" },
    { whose: "another sandbox's", id: "other", want: "foreign" },
    { whose: "nobody's", id: undefined, want: "foreign" },
  ])
    t.test(`KubernetesStore, mode ${mode}: release of Whereabouts' reservation, which names no sandbox, where the record is ${whose}`, async (t) => {
      const cluster = new MemoryCluster();
      const pool = poolOf(newNetwork(), "10.20.0.0/24");
      const spec = { podref: "team/p", ifname: "net1" };
      const allocations = id === undefined ? {} : { 5: { ...spec, id } };
      await cluster.create(IP_POOLS, { metadata: { name: pool.name, annotations: { "railnet.io/adopted": "true" } }, spec: { range: pool.cidr, allocations } } as never);
      await cluster.create(RESERVATIONS, { metadata: { name: `${pool.network}-10.20.0.5` }, spec } as never);
      t.equal(await open(cluster, mode).release({ pool, ip: "10.20.0.5", owner: ownerOf("p") }), want);
      t.equal(cluster.names("overlappingrangeipreservations").length, want === "released" ? 0 : 1);
    }); // biome-ignore format: rows
