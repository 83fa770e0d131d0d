// Many stores at once on one pool: no address twice, and what a claim costs the server by its own count.
import t from "tap";
import { parseCidr } from "../../../ipam/address.ts";
import { Allocator } from "../../../ipam/allocator.ts";
import type { Mode } from "../../../ipam/mode.ts";
import { rangeOf } from "../../../ipam/range.ts";
import type { Pool } from "../../../ipam/store/store.ts";
import { requestsBetween, total } from "../../../lab/cluster/requests.ts";
import { newNetwork, ownerOf, poolOf } from "../../ipam/store/names.ts";
import { OBJECTS, StorePlace } from "./support/place.ts";

const place = await StorePlace.start();
t.teardown(() => place[Symbol.asyncDispose]());
t.jobs = 1;

const WHEREABOUTS = / (ippools|overlappingrangeipreservations) /;
const rangeIn = (pool: Pool) => rangeOf(parseCidr(pool.cidr)!);

/** What the API server answered meanwhile. */
async function counting<T>(work: () => Promise<T>): Promise<{ result: T; requests: Record<string, number> }> {
  const before = await place.api.requests();
  const result = await work();
  return { result, requests: requestsBetween(before, await place.api.requests(), WHEREABOUTS) };
}

/** One of `nodes` stores each takes `each` addresses at once. */
async function storm(mode: Mode, pool: Pool, nodes: number, each: number): Promise<Map<string, string>> {
  const stores = await Promise.all(Array.from({ length: nodes }, () => place.open(mode)));
  const got: [string, string][] = [];
  await Promise.all(
    stores.flatMap((store, n) =>
      Array.from({ length: each }, async (_, i) => {
        const owner = ownerOf(`n${n}-${i}`, "a", { node: `node-${n}` });
        got.push([await new Allocator(store).allocate({ pool, range: rangeIn(pool) }, owner), owner.containerId]);
      }),
    ),
  );
  t.equal(new Set(got.map(([ip]) => ip)).size, got.length, "no address twice");
  return new Map(got);
}

t.test("KubernetesStore, mode absent: a claim nobody runs for is one request, a release two", async (t) => {
  const pool = poolOf(newNetwork(), "10.20.0.0/16");
  const store = await place.open("absent");
  const claims = Array.from({ length: 50 }, (_, i) => ({ pool, ip: `10.20.1.${i}`, owner: ownerOf(`p${i}`) }));
  await store.claim({ pool, ip: "10.20.9.9", owner: ownerOf("first") });
  const { requests: claiming } = await counting(() => Promise.all(claims.map((claim) => store.claim(claim))));
  t.same(claiming, { "POST overlappingrangeipreservations 201": 50 });
  const { requests: releasing } = await counting(() => Promise.all(claims.map((claim) => store.release(claim))));
  t.same(releasing, { "GET overlappingrangeipreservations 200": 50, "DELETE overlappingrangeipreservations 200": 50 });
});

t.test("KubernetesStore, mode absent: 200 claims of 10 stores at once", async (t) => {
  const pool = poolOf(newNetwork(), "10.20.0.0/16");
  const { result: got, requests } = await counting(() => storm("absent", pool, 10, 20));
  t.same([...(await place.reservedIn(pool))].sort(), [...got].sort());
  t.same(await place.records(pool.name), {}, "records are the leader's");
  const perClaim = total(requests) / got.size;
  t.comment(`${perClaim.toFixed(2)} requests a claim: ${JSON.stringify(requests)}`);
  t.ok(perClaim < 3, "all start at the lowest address, and spread out after the first race");
});

t.test("KubernetesStore, mode coexist: 200 claims of 10 stores at once, in batches", async (t) => {
  const pool = poolOf(newNetwork(), "10.20.0.0/16");
  const { result: got, requests } = await counting(() => storm("coexist", pool, 10, 20));
  const [reserved, recorded] = [await place.reservedIn(pool), await place.recordedIn(pool)];
  t.same([...reserved].sort(), [...got].sort());
  t.same([...recorded].sort(), [...got].sort());
  const patches = total(requestsBetween({ requests: {} } as never, { requests } as never, /^PATCH ippools/));
  t.comment(`${patches} patches of the pool: ${JSON.stringify(requests)}`);
  t.ok(patches < got.size, "records go together");
});

for (const mode of ["absent", "coexist"] as const)
  t.test(`KubernetesStore, mode ${mode}: a range that is full to the last address, then empty again`, async (t) => {
    const pool = poolOf(newNetwork(), "10.20.0.0/27");
    const got = await storm(mode, pool, 3, 10);
    t.equal(got.size, 30, "every address of the range");
    const store = await place.open(mode);
    const full = new Allocator(store).allocate({ pool, range: rangeIn(pool) }, ownerOf("late"));
    await t.rejects(full, /all from .* are taken or excluded/);
    for (const [ip, id] of got) {
      const owner = ownerOf(id.slice(0, id.indexOf("-a")), "a");
      t.equal(await store.release({ pool, ip, owner }), "released");
    }
    t.equal((await place.reservedIn(pool)).size + (await place.recordedIn(pool)).size, 0);
    await new Allocator(store).allocate({ pool, range: rangeIn(pool) }, ownerOf("late"));
  });

t.test("KubernetesStore in a pool of 5,000 records: no claim reads them again", async (t) => {
  const pool = poolOf(newNetwork(), "10.20.0.0/16");
  const record = (i: number) => ({ id: `old-${i}`.padEnd(64, "0"), podref: `team/old-${i}`, ifname: "net1" });
  const allocations = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [i + 1, record(i + 1)]));
  await place.api.raw.post(`${OBJECTS}/ippools`, {
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: { name: pool.name, annotations: { "railnet.io/adopted": "true" } },
    spec: { range: pool.cidr, allocations },
  });
  const store = await place.open("absent");
  const { result: got, requests } = await counting(async () => {
    const allocator = new Allocator(store);
    const all = Array.from({ length: 60 }, (_, i) =>
      allocator.allocate({ pool, range: rangeIn(pool) }, ownerOf(`p${i}`)),
    );
    return Promise.all(all);
  });
  t.same(
    got.sort(byLastNumbers),
    Array.from({ length: 60 }, (_, i) => `10.20.19.${137 + i}`),
    "the lowest free ones",
  );
  t.same(requests, { "GET ippools 200": 1, "POST overlappingrangeipreservations 201": 60 });
  const kept = await new Allocator(store).allocate({ pool, range: rangeIn(pool) }, ownerOf("old-77", "new"));
  t.equal(kept, "10.20.0.77", "an interface keeps what its record says");
});

const byLastNumbers = (a: string, b: string): number => Number(a.split(".")[3]) - Number(b.split(".")[3]);
