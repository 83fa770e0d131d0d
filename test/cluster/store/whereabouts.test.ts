// Beside the real Whereabouts: its records and reservations, and what others may have put into a pool.
import t from "tap";
import { parseCidr } from "../../../ipam/address.ts";
import { Allocator } from "../../../ipam/allocator.ts";
import { rangeOf } from "../../../ipam/range.ts";
import type { Pool } from "../../../ipam/store/store.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { type Sandbox, Whereabouts } from "../../../lab/cluster/whereabouts.ts";
import { newNetwork, ownerOf, poolOf } from "../../ipam/store/names.ts";
import { OBJECTS, StorePlace } from "./support/place.ts";

const place = await StorePlace.start();
const whereabouts = await Whereabouts.install(place.api);
t.teardown(() => place[Symbol.asyncDispose]());
t.jobs = 1;

const PODS: Record<string, unknown> = { namespace: "team" };
const sandbox = (pod: string, id = "a"): Sandbox => ({ ...PODS, pod, id: ownerOf(pod, id).containerId });
const configOf = ({ cidr, network, overlapping }: Pool): Json =>
  whereabouts.config({ range: cidr, network_name: network, enable_overlapping_ranges: overlapping });

/** ADD by the real Whereabouts. @returns the address. */
async function addThere(pool: Pool, pod: string, id = "a"): Promise<string> {
  const { exit, json, stderr } = await whereabouts.call("ADD", configOf(pool), sandbox(pod, id));
  if (exit !== 0) throw new Error(`whereabouts: ${JSON.stringify(json)} ${stderr}`);
  return json.ips[0].address.split("/")[0];
}

const delThere = (pool: Pool, pod: string, id = "a") => whereabouts.call("DEL", configOf(pool), sandbox(pod, id));
const rangeIn = (pool: Pool) => rangeOf(parseCidr(pool.cidr)!);
const newPool = (cidr = "10.20.0.0/24", network = newNetwork()) => poolOf(network, cidr);

async function makePool({ name }: Pool, range: string, allocations: Json): Promise<void> {
  const metadata = { name };
  await place.api.raw.post(`${OBJECTS}/ippools`, {
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata,
    spec: { range, allocations },
  });
}

t.test("KubernetesStore writes record and reservation as Whereabouts does", async (t) => {
  const [ours, theirs] = [newPool(), newPool()];
  const ip = await addThere(theirs, "p");
  const store = await place.open("coexist");
  t.equal(await store.claim({ pool: ours, ip, owner: ownerOf("p") }), undefined);
  t.same(await place.records(ours.name), await place.records(theirs.name));
  const [a, b] = await Promise.all([ours, theirs].map(async ({ network }) => (await place.reservations(network))[0]));
  const { containerid, ...spec } = a.spec;
  t.same(spec, b.spec);
  t.equal(a.metadata.name.replace(ours.network, ""), b.metadata.name.replace(theirs.network, ""));
  const [one, other] = await Promise.all(
    [ours, theirs].map(({ name }) => place.api.raw.get(`${OBJECTS}/ippools/${name}`)),
  );
  t.same(one.spec.range, other.spec.range);
});

t.test("Whereabouts and KubernetesStore in one pool: neither takes what the other has", async (t) => {
  const pool = newPool();
  const store = await place.open("coexist");
  const allocator = new Allocator(store);
  const ours = Promise.all(
    Array.from({ length: 12 }, (_, i) => allocator.allocate({ pool, range: rangeIn(pool) }, ownerOf(`o${i}`))),
  );
  const theirs: string[] = [];
  for (let i = 0; i < 4; i++) theirs.push(await addThere(pool, `w${i}`));
  const all = [...(await ours), ...theirs];
  t.equal(new Set(all).size, 16);
  t.same([...(await place.recordedIn(pool)).keys()].sort(), all.sort());
  t.match(theirs, ["10.20.0.1", "10.20.0.2", "10.20.0.3", "10.20.0.4"], "it takes from the bottom");
  t.ok(
    (await ours).every((ip) => Number(ip.split(".")[3]) > 200),
    "we take from the top",
  );
});

t.test(
  "KubernetesStore, mode coexist, takes no address of an overlapping pool, with or without its reservation",
  async (t) => {
    const network = newNetwork();
    const [wide, narrow] = [newPool("10.20.0.0/24", network), newPool("10.20.0.0/28", network)];
    const ip = await addThere(wide, "p");
    const store = await place.open("coexist");
    t.equal((await store.claim({ pool: narrow, ip, owner: ownerOf("q") }))?.podref, "team/p");
    await place.api.raw.delete(`${OBJECTS}/overlappingrangeipreservations/${network}-${ip}`);
    const later = await place.open("coexist");
    t.equal((await later.claim({ pool: narrow, ip, owner: ownerOf("q") }))?.podref, "team/p", "its record alone");
    t.equal((await later.claim({ pool: wide, ip, owner: ownerOf("q") }))?.podref, "team/p", "in its own pool");
    t.same(await place.reservations(network), [], "no reservation of ours is left");
    t.same(Object.keys(await place.records(wide.name)), ["1"]);
  },
);

t.test("Whereabouts takes no address that KubernetesStore has in an overlapping pool", async (t) => {
  const network = newNetwork();
  const [wide, narrow] = [newPool("10.20.0.0/24", network), newPool("10.20.0.0/28", network)];
  const store = await place.open("coexist");
  for (const last of [1, 2]) await store.claim({ pool: wide, ip: `10.20.0.${last}`, owner: ownerOf(`p${last}`) });
  t.equal(await addThere(narrow, "q"), "10.20.0.3");
});

t.test("KubernetesStore takes over what Whereabouts gave to an earlier sandbox, and the other way round", async (t) => {
  const pool = newPool();
  const [store, owner] = [await place.open("coexist"), ownerOf("p", "ours")];
  const ip = await addThere(pool, "p", "theirs");
  t.same((await store.taken(pool)).of("team/p", "net1"), [ip]);
  t.equal(await store.claim({ pool, ip, owner }), undefined);
  t.same([...(await place.recordedIn(pool))], [[ip, owner.containerId]]);
  await delThere(pool, "p", "theirs"); // late: its record is ours by now
  t.same([...(await place.recordedIn(pool))], [[ip, owner.containerId]]);
  t.equal(await addThere(pool, "p", "again"), ip, "Whereabouts gives the pod its address");
  t.equal(await store.release({ pool, ip, owner }), "foreign", "our late release leaves it alone");
  t.same([...(await place.recordedIn(pool)).values()], [ownerOf("p", "again").containerId]);
  t.same(
    (await place.reservations(pool.network)).map(({ spec }) => spec.containerid),
    [ownerOf("p", "again").containerId],
  );
  await delThere(pool, "p", "again");
  t.same([await place.records(pool.name), await place.reservations(pool.network)], [{}, []]);
});

t.test("KubernetesStore finds and releases what Whereabouts gave, by container ID", async (t) => {
  for (const mode of ["coexist", "absent"] as const) {
    const pool = newPool();
    const ip = await addThere(pool, "p");
    await addThere(pool, "q");
    const store = await place.open(mode);
    const found = await store.find(pool, ownerOf("p"));
    t.same(
      found.map((claim) => [claim.ip, claim.owner.podref]),
      [[ip, "team/p"]],
    );
    t.equal(await store.release(found[0]!), "released");
    t.equal(await store.release(found[0]!), "absent");
    t.same(
      Object.values(await place.records(pool.name)).map(({ podref }) => podref),
      ["team/q"],
    );
    t.same(
      (await place.reservations(pool.network)).map(({ spec }) => spec.podref),
      ["team/q"],
    );
  }
});

t.test(
  "KubernetesStore, mode absent, in a pool that is not adopted: a record without reservation is respected",
  async (t) => {
    const pool = newPool();
    const ip = await addThere(pool, "p");
    await place.api.raw.delete(`${OBJECTS}/overlappingrangeipreservations/${pool.network}-${ip}`);
    const store = await place.open("absent");
    t.equal((await store.claim({ pool, ip, owner: ownerOf("q") }))?.podref, "team/p");
    t.equal(await new Allocator(store).allocate({ pool, range: rangeIn(pool) }, ownerOf("q")), "10.20.0.2");
    t.same(Object.keys(await place.records(pool.name)), ["1", "2"], "so the claim is written to the pool at once");
  },
);

t.test("KubernetesStore leaves keys that are none, and records of nobody, as they are", async (t) => {
  const pool = newPool();
  const junk = {
    3: { id: "resv:node-a", podref: "" },
    5: { id: "c1", podref: "team/p" },
    abc: { id: "x", podref: "y" },
    "-7": { id: "x", podref: "y" },
    "18446463705355360228": { id: "x", podref: "team/z", ifname: "net1" },
  };
  await makePool(pool, pool.cidr, junk);
  const store = await place.open("coexist");
  t.same((await store.taken(pool)).of("team/p", "net1"), [], "a record without ifname is nobody's");
  for (const last of [1, 2, 4])
    t.equal(await store.claim({ pool, ip: `10.20.0.${last}`, owner: ownerOf(`n${last}`) }), undefined);
  t.equal((await store.claim({ pool, ip: "10.20.0.3", owner: ownerOf("n3") }))?.containerId, "resv:node-a");
  t.equal((await store.claim({ pool, ip: "10.20.0.5", owner: ownerOf("p") }))?.containerId, "c1");
  t.same(await store.find(pool, { containerId: "c1", ifname: "net1" }), []);
  for (const last of [1, 2, 4])
    t.equal(await store.release({ pool, ip: `10.20.0.${last}`, owner: ownerOf(`n${last}`) }), "released");
  t.same(await place.records(pool.name), junk);
  t.same(await place.reservations(pool.network), []);
});

t.test("KubernetesStore counts keys from the literal base of a pool, as Whereabouts does", async (t) => {
  const pool = newPool("10.20.0.0/16");
  await makePool(pool, "10.20.20.0/16", {});
  const store = await place.open("coexist");
  for (const [ip, key] of [
    ["10.20.20.7", "7"],
    ["10.20.21.0", "256"],
  ] as const) {
    t.equal(await store.claim({ pool, ip, owner: ownerOf(`p-${key}`) }), undefined);
    t.equal((await place.records(pool.name))[key].podref, `team/p-${key}`);
    t.same((await store.taken(pool, { fresh: true })).of(`team/p-${key}`, "net1"), [ip]);
  }
  t.equal(await addThere(pool, "p-7", "theirs"), "10.20.20.7", "Whereabouts reads the key as we wrote it");
});

for (const mode of ["absent", "coexist"] as const)
  t.test(
    `KubernetesStore, mode ${mode}: a pool that somebody deletes is made again; reservations still decide`,
    async (t) => {
      const pool = newPool();
      const store = await place.open(mode);
      const ip = "10.20.0.5";
      await store.claim({ pool, ip, owner: ownerOf("p") });
      await place.api.raw.delete(`${OBJECTS}/ippools/${pool.name}`);
      for (const one of [store, await place.open(mode)])
        t.equal((await one.claim({ pool, ip, owner: ownerOf("q") }))?.podref, "team/p");
      t.equal(await store.claim({ pool, ip: "10.20.0.6", owner: ownerOf("q") }), undefined);
      t.equal((await place.api.raw.get(`${OBJECTS}/ippools/${pool.name}`)).spec.range, pool.cidr, "it is there again");
      t.equal(await store.release({ pool, ip, owner: ownerOf("p") }), "released");
      t.equal(await store.claim({ pool, ip, owner: ownerOf("q") }), undefined);
    },
  );

t.test("KubernetesStore follows the cluster's mode while it runs", async (t) => {
  const pool = newPool();
  let mode: "absent" | "coexist" = "absent";
  const store = await place.open(() => mode);
  await store.claim({ pool, ip: "10.20.0.5", owner: ownerOf("p") });
  t.equal((await store.taken(pool)).order, "lowest");
  t.same(await place.records(pool.name), {});
  mode = "coexist";
  t.equal((await store.taken(pool)).order, "highest");
  await store.claim({ pool, ip: "10.20.0.6", owner: ownerOf("q") });
  t.same(Object.keys(await place.records(pool.name)), ["6"]);
  t.equal((await store.claim({ pool, ip: "10.20.0.5", owner: ownerOf("q") }))?.podref, "team/p");
  t.equal(await store.claim({ pool, ip: "10.20.0.5", owner: ownerOf("p") }), undefined, "its owner completes it");
  t.same(Object.keys(await place.records(pool.name)), ["5", "6"]);
});

t.test("KubernetesStore.slice() gives a node its slice, each to one, and says when none is left", async (t) => {
  const name = newNetwork("slices");
  const store = await place.open("absent");
  const whole = {
    name,
    network: name,
    cidr: "10.20.0.0/21",
    sliceSize: "/24",
    range: rangeOf(parseCidr("10.20.0.0/21")!),
  };
  const slices = Array.from({ length: 8 }, (_, i) => ({
    nodeName: i === 2 || i > 5 ? `node-c${i}` : "",
    sliceRange: `10.20.${i}.0/24`,
  }));
  await place.api.raw.post(`${OBJECTS}/nodeslicepools`, {
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "NodeSlicePool",
    metadata: { name },
    spec: { range: whole.cidr, sliceSize: "/24" },
    status: { allocations: slices },
  });
  t.equal(await store.slice(whole, "node-c2"), "10.20.2.0/24", "the one that it has");
  const stores = await Promise.all(Array.from({ length: 5 }, () => place.open("absent")));
  const got = await Promise.all(stores.map((one, i) => one.slice(whole, `node-${i}`)));
  t.equal(new Set([...got, "10.20.2.0/24"]).size, 6, "each another one");
  const { status } = await place.api.raw.get(`${OBJECTS}/nodeslicepools/${name}`);
  for (const [i, slice] of got.entries())
    t.equal(status.allocations.find(({ sliceRange }: Json) => sliceRange === slice).nodeName, `node-${i}`);
  t.equal(await store.slice(whole, "node-3"), got[3], "again the same");
  await t.rejects(store.slice(whole, "node-9"), {
    kind: "refused",
    message: /cannot find a free slice in NodeSlicePool .* for node-9/,
  });
});
