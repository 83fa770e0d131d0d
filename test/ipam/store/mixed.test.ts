// Configurations of one range that say true and false of enable_overlapping_ranges, on every way to a claim.
import t from "tap";
import { Allocator } from "../../../ipam/allocator.ts";
import type { Mode } from "../../../ipam/mode.ts";
import { parseRange, rangeOf } from "../../../ipam/range.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import { MemoryCluster } from "../support/memory-cluster.ts";
import { ownerOf, poolOf } from "./names.ts";

const CIDR = "10.20.0.0/28";
const ADOPTED = "railnet.io/adopted";
const DECIDE = "railnet.io/records-decide";

class World {
  readonly cluster = new MemoryCluster();
  mode: Mode = "absent";
  epoch = "1";
  readonly #given: string[] = [];

  /** A node's agent: it remembers pools as long as it lives. */
  agent({ sees = () => this.mode, createsAdopted = true } = {}) {
    const log = { info() {}, warn() {} };
    const store = new KubernetesStore({
      cluster: this.cluster,
      mode: sees,
      epoch: () => this.epoch,
      log,
      createsAdopted,
    });
    const allocator = new Allocator(store);
    const source = (overlapping: boolean, cidr = CIDR) => ({
      pool: poolOf("", cidr, { overlapping }),
      range: rangeOf(parseRange(cidr).network),
    });
    return {
      store,
      add: async (pod: string, overlapping: boolean, { asked, cidr }: { asked?: string; cidr?: string } = {}) => {
        const ip = await allocator.allocate(source(overlapping, cidr), ownerOf(pod), asked ? { asked } : {});
        this.#given.push(ip);
        return ip;
      },
    };
  }

  get doubled(): string[] {
    return this.#given.filter((ip, i) => this.#given.indexOf(ip) !== i);
  }

  annotations() {
    return this.cluster.read("ippools", "10.20.0.0-28")?.metadata.annotations ?? {};
  }
}

t.test("an adopted pool stays so: who says false reserves there, too", async (t) => {
  const world = new World();
  const [a, b] = [world.agent(), world.agent()];
  await a.add("a1", true);
  for (const i of [1, 2, 3]) {
    await b.add(`b${i}`, false);
    await a.add(`a${i + 1}`, true);
  }
  t.same(world.doubled, []);
  t.same(Object.keys(world.annotations()), [ADOPTED]);
  t.equal(world.cluster.names("overlappingrangeipreservations").length, 7);
  const pool = poolOf("", CIDR, { overlapping: false });
  const claim = { pool, ip: "10.20.0.9", owner: ownerOf("z") };
  t.equal(await b.store.claim(claim), undefined);
  t.equal((await a.store.claim({ ...claim, pool: poolOf("", CIDR), owner: ownerOf("y") }))?.podref, "team/z");
  t.equal(await b.store.release(claim), "released");
  t.equal(await b.store.release(claim), "absent");
  await t.rejects(b.add("w", false, { asked: "10.20.0.1" }), /has it/);
});

t.test("a pool whose records decide stays so: who says true writes both", async (t) => {
  const world = new World();
  const [a, b] = [world.agent(), world.agent()];
  await b.add("b0", false);
  for (const i of [1, 2, 3]) {
    await a.add(`a${i}`, true);
    await b.add(`b${i}`, false);
  }
  t.same(world.doubled, []);
  t.same(Object.keys(world.annotations()), [DECIDE]);
  const requests = world.cluster.requests.length;
  await b.add("b9", false);
  t.equal(world.cluster.requests.length, requests + 1, "one request an address");
});

t.test("a pool that others made is marked by the first who says false, also where it is known already", async (t) => {
  const world = new World();
  const [alone, a] = [world.agent({ createsAdopted: false }), world.agent()];
  await alone.add("c1", true);
  await a.add("a1", true);
  t.same(world.annotations(), {}, "the leader may adopt it at any time");
  await a.add("a2", false);
  t.same(Object.keys(world.annotations()), [DECIDE]);
  t.same(world.doubled, []);
});

t.test("adoption and the mark meet: one of them wins", async (t) => {
  const world = new World();
  const [alone, a] = [world.agent({ createsAdopted: false }), world.agent()];
  await alone.add("c1", true);
  world.cluster.before = async (request) => {
    if (!request.startsWith("PATCH ippools")) return;
    world.cluster.before = () => {};
    await world.cluster.mergePatch({ plural: "ippools" } as never, "10.20.0.0-28", {
      metadata: { annotations: { [ADOPTED]: "now" } },
    });
  };
  await a.add("a1", false);
  t.same(Object.keys(world.annotations()), [ADOPTED]);
  await world.agent().add("b1", true);
  t.same(world.doubled, []);
});

t.test("a pool that is made again while its addresses are reserved is adopted, whoever makes it", async (t) => {
  const world = new World();
  await world.agent().add("a1", true);
  await world.cluster.delete({ plural: "ippools" } as never, "10.20.0.0-28");
  await world.agent().add("b1", false);
  await world.agent().add("a2", true);
  t.same(Object.keys(world.annotations()), [ADOPTED]);
  t.same(world.doubled, []);
});

t.test("beside a live Whereabouts the first who says false honours reservations that have no record yet", async (t) => {
  const world = new World();
  await world.agent().add("a1", true, { asked: "10.20.0.14" });
  world.mode = "coexist";
  await world.agent().add("b1", false); // it would be .14, the highest
  t.same(world.doubled, []);
  t.match(world.annotations(), { [DECIDE]: "mixed" });
});

t.test("who has not heard the mode yet takes no pool away from reservations", async (t) => {
  const world = new World();
  const settings = { metadata: { name: "railnet-config" }, data: { whereabouts: "absent" } };
  await world.cluster.create({ plural: "configmaps" } as never, settings);
  await world.agent().add("a1", true);
  const young = world.agent({ sees: () => "coexist" });
  await t.rejects(young.add("b1", false), { kind: "unavailable", message: /is not known here yet; try again$/ });
  t.same(Object.keys(world.annotations()), [ADOPTED]);
  t.not(await young.add("b2", true), "10.20.0.1", "a claim by both waits for nothing");
  t.same(world.doubled, []);
});

t.test("nor does who knows the pool already, because it released in it", async (t) => {
  const world = new World();
  const settings = { metadata: { name: "railnet-config" }, data: { whereabouts: "absent" } };
  await world.cluster.create({ plural: "configmaps" } as never, settings);
  await world.agent().add("a1", true);
  let seen: Mode = "coexist"; // it has not heard yet
  const young = world.agent({ sees: () => seen });
  await young.store.release({ pool: poolOf("", CIDR), ip: "10.20.0.9", owner: ownerOf("c1") });
  await t.rejects(young.add("b1", false), { kind: "unavailable", message: /is not known here yet; try again$/ });
  seen = "absent";
  await young.add("b2", false);
  await world.agent().add("a2", true);
  t.same(world.doubled, []);
  t.equal(world.cluster.names("overlappingrangeipreservations").length, 3, "each by its reservation");
});

t.test("what is remembered of an adoption ends when the settings were written", async (t) => {
  const world = new World();
  const [early, late] = [world.agent(), world.agent({ sees: () => "absent" })];
  await late.add("a1", true);
  world.mode = "coexist"; // for a while, which the second agent's watch does not show: it only sees another version
  await world.cluster.mergePatch({ plural: "ippools" } as never, "10.20.0.0-28", {
    metadata: { annotations: { [ADOPTED]: null } },
  });
  const record = { id: "w", ifname: "net1", podref: "team/w" };
  await world.cluster.patch({ plural: "ippools" } as never, "10.20.0.0-28", [
    { op: "add", path: "/spec/allocations/2", value: record },
  ]);
  world.mode = "absent";
  world.epoch = "2";
  t.not(await late.add("a2", true), "10.20.0.2", "Whereabouts gave it away meanwhile");
  t.not(await early.add("a3", true), "10.20.0.2");
});

t.test("a new pool is not adopted while records of a pool beside it have no reservations", async (t) => {
  const world = new World();
  const record = { id: "w", ifname: "net1", podref: "team/w" };
  const wide = { metadata: { name: "10.20.0.0-24" }, spec: { range: "10.20.0.0/24", allocations: { 1: record } } };
  await world.cluster.create({ plural: "ippools" } as never, wide);
  t.not(await world.agent().add("a1", true), "10.20.0.1", "it is Whereabouts'");
  t.same(world.annotations(), {});
});

t.test("an ADD in an adopted pool is one request", async (t) => {
  const world = new World();
  const a = world.agent();
  await a.add("a1", true);
  await a.add("a2", false);
  const before = world.cluster.requests.length;
  for (const [i, overlapping] of [true, false, true].entries()) await a.add(`b${i}`, overlapping);
  t.equal(world.cluster.requests.length, before + 3);
});
