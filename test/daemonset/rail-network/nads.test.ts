import t from "tap";
import { randomFrom } from "../../../cli/random.ts";
import { isOurs, type Nad, type NadAction, planNads } from "../../../daemonset/rail-network/nads.ts";
import type { RailNetwork } from "../../../daemonset/rail-network/object.ts";

const SEED = Number(process.env["RAILNET_SEED"] ?? 7);

import type { KubeObject } from "../../../kubernetes/cluster.ts";

const ishikari = (more: object = {}, name = "ishikari"): RailNetwork => ({
  metadata: { name, uid: `uid-${name}`, creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: {
    rails: [
      { name: "rail0", pf: { names: ["a"] } },
      { name: "rail1", pf: { names: ["b"] }, resource: "intel.com/sriov" },
    ],
    pods: { namespaces: { matchLabels: { rails: "yes" } } },
    ...more,
  },
});
const namespace = (name: string, labels: Record<string, string> = { rails: "yes" }, more: object = {}): KubeObject => ({
  metadata: { name, labels, ...more },
});

/** What the server has. */
class World {
  readonly nads = new Map<string, Nad>();
  plan(networks: readonly RailNetwork[], namespaces: readonly KubeObject[]) {
    return planNads({ networks, namespaces, nads: this.nads });
  }
  apply(actions: readonly NadAction[]): void {
    for (const { do: what, nad } of actions)
      if (what === "delete") this.nads.delete(`${nad.metadata.namespace}/${nad.metadata.name}`);
      else this.nads.set(`${nad.metadata.namespace}/${nad.metadata.name}`, structuredClone(nad));
  }
  get names(): string[] {
    return [...this.nads.keys()].sort();
  }
}

t.test("planNads() makes one network a rail, and with sets one for all, which only refer", async (t) => {
  const world = new World();
  const { actions, wanted } = world.plan([ishikari({ sets: 4 })], [namespace("a"), namespace("b", {})]);
  world.apply(actions);
  t.same(world.names, ["a/ishikari", "a/ishikari-rail0", "a/ishikari-rail1"]);
  const config = (name: string) => JSON.parse(world.nads.get(name)!.spec!.config!);
  t.same(config("a/ishikari"), { cniVersion: "1.0.0", name: "ishikari", type: "railnet-sriov", network: "ishikari" });
  t.same(config("a/ishikari-rail1"), { cniVersion: "1.0.0", name: "ishikari-rail1", type: "railnet-sriov", network: "ishikari", rail: "rail1" }); // biome-ignore format: one row
  const resource = (name: string) => world.nads.get(name)!.metadata.annotations!["k8s.v1.cni.cncf.io/resourceName"];
  t.same(world.names.map(resource), ["railnet.io/rails", "railnet.io/rail0", "intel.com/sriov"]);
  t.match(world.nads.get("a/ishikari")!.metadata.ownerReferences, [{ kind: "RailNetwork", name: "ishikari", uid: "uid-ishikari" }]); // biome-ignore format: one row
  t.same(wanted.get("ishikari"), { names: ["ishikari", "ishikari-rail0", "ishikari-rail1"], namespaces: 1, taken: [] });
});

t.test("planNads() lets Multus pass on what pods may ask for", async (t) => {
  const pods = { namespaces: {}, allow: ["mac", "ips", "mtu"] as const };
  const [first] = new World().plan([ishikari({ pods })], [namespace("a")]).actions;
  t.same(JSON.parse(first!.nad.spec!.config!).capabilities, { ips: true, mac: true });
});

t.test(
  "planNads() leaves alone what somebody wrote, a copy of a leader's elsewhere too, and says whose name is taken",
  async (t) => {
    const world = new World();
    world.apply(world.plan([ishikari()], [namespace("a")]).actions);
    const copy = structuredClone(world.nads.get("a/ishikari-rail0")!);
    world.nads.set("c/ishikari-rail0", { ...copy, metadata: { ...copy.metadata, namespace: "c" } });
    world.nads.set("b/ishikari-rail0", {
      metadata: { name: "ishikari-rail0", namespace: "b" },
      spec: { config: "{}" },
    });
    const { actions, wanted } = world.plan([ishikari()], [namespace("a"), namespace("b"), namespace("c")]);
    t.same(actions.map(({ do: what, nad }) => `${what} ${nad.metadata.namespace}/${nad.metadata.name}`), ["create b/ishikari-rail1", "create c/ishikari-rail1"]); // biome-ignore format: one row
    t.same(wanted.get("ishikari")!.taken, ["b/ishikari-rail0", "c/ishikari-rail0"]);
    const withdrawn = world.plan([], [namespace("a"), namespace("b"), namespace("c")]).actions;
    t.same(
      withdrawn.map(({ nad }) => `${nad.metadata.namespace}`),
      ["a", "a"],
      "nor are they taken away",
    );
  },
);

t.test("planNads() puts right what was changed, and keeps what others added", async (t) => {
  const world = new World();
  world.apply(world.plan([ishikari()], [namespace("a")]).actions);
  const there = world.nads.get("a/ishikari-rail0")!;
  world.nads.set("a/ishikari-rail0", { ...there, metadata: { ...there.metadata, annotations: { ...there.metadata.annotations, note: "x" } } }); // biome-ignore format: one row
  t.same(world.plan([ishikari()], [namespace("a")]).actions, []);
  world.nads.set("a/ishikari-rail0", { ...there, spec: { config: there.spec!.config!.replace("ishikari", "other") } });
  t.match(world.plan([ishikari()], [namespace("a")]).actions, [{ do: "replace", network: "ishikari" }]);
});

t.test("planNads() of two that want one name gives it to the older", async (t) => {
  const younger = ishikari({ sets: 1 }, "ishikari-rail0");
  const networks = [{ ...younger, metadata: { ...younger.metadata, creationTimestamp: "2026-02-01T00:00:00Z" } }, ishikari()]; // biome-ignore format: one row
  const { actions, wanted } = new World().plan(networks, [namespace("a")]);
  t.same(wanted.get("ishikari-rail0")!.taken, ["a/ishikari-rail0"]);
  t.equal(actions.filter(({ nad }) => nad.metadata.name === "ishikari-rail0")[0]!.network, "ishikari");
});

t.test("planNads() keeps what a RailNetwork has whose pods cannot be read", async (t) => {
  const world = new World();
  world.apply(world.plan([ishikari()], [namespace("a")]).actions);
  const { actions, wanted } = world.plan([ishikari({ pods: { namespaces: {}, allow: ["all"] } })], [namespace("a")]);
  t.same(actions, []);
  t.match(wanted.get("ishikari")!.wrong, /cannot use spec\.pods\.allow "all"/);
});

t.test("planNads() does nothing in a namespace that ends", async (t) => {
  const world = new World();
  const ending = namespace("a", { rails: "yes" }, { deletionTimestamp: "2026-01-02T00:00:00Z" });
  t.same(world.plan([ishikari()], [ending]).actions, []);
  world.apply(world.plan([ishikari()], [namespace("a")]).actions);
  t.same(world.plan([ishikari()], [ending]).actions, []);
});

t.test("planNads() ends at the same, wherever leaders end between two writes", async (t) => {
  const next = randomFrom(SEED);
  const random = (n: number): number => Math.floor(next() * n);
  for (let run = 0; run < 100; run++) {
    const world = new World();
    const theirs = new Map<string, Nad>();
    let networks: RailNetwork[] = [];
    let namespaces: KubeObject[] = [];
    for (let change = 0; change < 6; change++) {
      networks = ["n", "n-rail0", "m"].flatMap((name) => (random(3) > 0 ? [ishikari({ sets: random(2), pods: random(4) > 0 ? { namespaces: random(2) > 0 ? {} : { matchLabels: { rails: "yes" } } } : undefined }, name)] : [])); // biome-ignore format: one row
      namespaces = ["a", "b", "c"].filter(() => random(4) > 0).map((name) => namespace(name, random(2) > 0 ? { rails: "yes" } : {})); // biome-ignore format: one row
      const key = `${"abc"[random(3)]}/n-rail${random(2)}`;
      if (!world.nads.has(key)) {
        const [ns, name] = key.split("/") as [string, string];
        theirs.set(key, { metadata: { name, namespace: ns } });
        world.nads.set(key, theirs.get(key)!);
      }
      const { actions } = world.plan(networks, namespaces);
      world.apply(actions.slice(0, random(actions.length + 1)));
    }
    world.apply(world.plan(networks, namespaces).actions);
    t.same(world.plan(networks, namespaces).actions, [], `seed ${SEED}, run ${run}: nothing is left to do`);
    const fresh = new World();
    for (const [key, nad] of theirs) fresh.nads.set(key, nad);
    fresh.apply(fresh.plan(networks, namespaces).actions);
    t.same(world.names, fresh.names, `seed ${SEED}, run ${run}: as if made at once`);
    t.ok([...world.nads].every(([key, nad]) => (theirs.has(key) ? nad === theirs.get(key) : isOurs(nad))));
  }
});

t.test(
  "planNads() of 500 namespaces: all get theirs, and of one that loses the right its own go, and no others",
  async (t) => {
    const world = new World();
    const name = (i: number) => `team-${i}`;
    const namespaces = Array.from({ length: 500 }, (_, i) => namespace(name(i)));
    const networks = [ishikari({ sets: 2 }), ishikari({ sets: 2 }, "teshio")];
    const { actions, wanted } = world.plan(networks, namespaces);
    t.equal(actions.length, 500 * 6);
    t.match(wanted.get("teshio"), { namespaces: 500, taken: { length: 0 } });
    world.apply(actions);
    const without = namespaces.map((one, i) => (i === 250 ? namespace(name(i), {}) : one));
    const gone = world.plan(networks, without).actions;
    t.same([...new Set(gone.map(({ do: what, nad }) => `${what} ${nad.metadata.namespace}`))], [`delete ${name(250)}`]);
    t.equal(gone.length, 6);
    world.apply(gone);
    const left = world.plan(networks.slice(0, 1), without).actions;
    t.ok(left.every(({ do: what, network }) => what === "delete" && network === "teshio"));
    t.equal(left.length, 499 * 3, "those of a RailNetwork that is deleted");
  },
);
