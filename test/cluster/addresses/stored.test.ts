// What an old Whereabouts, an old definition or a hand may have stored, against a real API server.
import t from "tap";
import { Allocator } from "../../../ipam/allocator.ts";
import { connect } from "../../../ipam/connect.ts";
import { rangeFrom } from "../../../ipam/range.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import { openKubernetesStore } from "../../../ipam/store/open-kubernetes.ts";
import { StoreError } from "../../../ipam/store/store.ts";
import { crds } from "../../../lab/cluster/install.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { makePool, makeReservation } from "../commands/support/objects.ts";
import { ipam } from "../commands/support/railnet.ts";
import { Agent, pool } from "./support/agent.ts";
import { POOLS, RESERVATIONS, reserved, setMode, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld("coexist");
t.teardown(() => api.stop());
t.setTimeout(600_000);
const { raw } = api;
const SILENT = { info: () => {}, warn: () => {} };
const owner = (name: string, containerId = `c-${name}`) => ({ podref: `default/${name}`, ifname: "net1", containerId });
const storeIn = async (mode: "absent" | "coexist") =>
  new KubernetesStore({ cluster: await connect({ kubeconfig }), mode: () => mode, log: SILENT, createsAdopted: true });

/** Puts a changed definition in the place of ours, and waits until the server follows it. */
async function redefine(plural: string, change: (spec: Json) => void, follows: () => Promise<boolean>): Promise<void> {
  const { object } = (await crds("ours")).find(({ object }) => object.spec.names.plural === plural)!;
  const definition = structuredClone(object);
  change(definition.spec.versions[0].schema.openAPIV3Schema.properties.spec);
  await raw.apply(definition);
  await until(`the server follows the definition of ${plural}`, follows, Boolean);
}
const dryRun = (path: string, body: Json) => raw.request("POST", `${path}?dryRun=All`, { body });
const kind = (name: string) => ({ apiVersion: "whereabouts.cni.cncf.io/v1alpha1", kind: name });
const probe = {
  ...kind("OverlappingRangeIPReservation"),
  metadata: { name: "probe" },
  spec: { podref: "a/b", ifname: "net1" },
};

t.test("openKubernetesStore() is a store for others, with what the kubeconfig of an agent may do", async (t) => {
  const store = await openKubernetesStore({ kubeconfig, namespace: "kube-system" });
  const rail = pool("library", "10.6.0.0/24");
  const source = { pool: rail, range: rangeFrom("10.6.0.7-10.6.0.9/24") };
  const ips = await Promise.all(["a", "b", "c"].map((name) => new Allocator(store).allocate(source, owner(name))));
  t.same(ips.sort(), ["10.6.0.7", "10.6.0.8", "10.6.0.9"]);
  t.equal((await reserved(raw, "library")).length, 3);
  for (const claim of await store.find(rail, owner("a"))) t.equal(await store.release(claim), "released");
  t.equal((await reserved(raw, "library")).length, 2);
});

t.test("reservations without podref beside a record that knows are completed", async (t) => {
  await setMode(raw, "coexist");
  const isLoose = async () => (await dryRun(RESERVATIONS, { ...probe, spec: {} })).status === 201;
  await redefine("overlappingrangeipreservations", (spec) => delete spec.required, isLoose);
  await makePool(raw, "fill-10.7.0.0-24", "10.7.0.0/24", { 1: { podref: "default/known" } });
  await makeReservation(raw, "fill-10.7.0.1", { podref: undefined as unknown as string });
  const { exit } = await ipam(["takeover", "adopt", "--json", "--kubeconfig", kubeconfig]);
  t.equal(exit, 0);
  t.same(await reserved(raw, "fill"), ["10.7.0.1 default/known net1 c-known"]);
});

t.test(
  "an agent adopts a pool with records and reservations that leave out who has them, and gives none of them out",
  async (t) => {
    const records = { 1: { podref: "default/known" }, 2: { podref: "default/noif", ifname: "" } };
    await makePool(raw, "grown-10.9.0.0-24", "10.9.0.0/24", records);
    await raw.merge(`${POOLS}/grown-10.9.0.0-24`, { spec: { allocations: { 3: { id: "c-nobody" } } } });
    for (const ip of ["10.9.0.1", "10.9.0.4"])
      await makeReservation(raw, `grown-${ip}`, { podref: undefined as unknown as string });
    await setMode(raw, "absent");
    await using agent = await Agent.start("node-a", kubeconfig);
    const adopted = async () =>
      (await raw.get(`${POOLS}/grown-10.9.0.0-24`)).metadata.annotations?.["railnet.io/adopted"];
    await until("adopted", adopted, Boolean);
    const names = (await raw.list(RESERVATIONS))
      .map(({ metadata }) => metadata.name)
      .filter((name) => name.startsWith("grown-"))
      .sort();
    t.same(
      names,
      [1, 2, 3, 4].map((i) => `grown-10.9.0.${i}`),
      "one reservation for each, whoever has it",
    );
    const all = await reserved(raw, "grown");
    t.same(all.slice(0, 2), ["10.9.0.1 default/known net1 c-known", "10.9.0.2 default/noif  c-noif"]);
    await until(
      "mode absent",
      () => agent.modes.mode,
      (mode) => mode === "absent",
    );
    const source = { pool: pool("grown", "10.9.0.0/24"), range: rangeFrom("10.9.0.1-10.9.0.6/24") };
    const given = [
      await new Allocator(agent.store).allocate(source, owner("x")),
      await new Allocator(agent.store).allocate(source, owner("y")),
    ];
    t.same(given.sort(), ["10.9.0.5", "10.9.0.6"]);
    await t.rejects(
      new Allocator(agent.store).allocate(source, owner("z")),
      /cannot give an address of 10.9.0.0.24: all/,
    );
  },
);

t.test("a reservation that a finalizer holds is nobody's, and is given out when it is gone", async (t) => {
  const store = await storeIn("absent");
  const claim = { pool: pool("held", "10.11.0.0/24"), ip: "10.11.0.1", owner: owner("first") };
  t.equal(await store.claim(claim), undefined);
  const path = `${RESERVATIONS}/held-10.11.0.1`;
  await raw.merge(path, { metadata: { finalizers: ["example.com/hold"] } });
  t.equal(await store.release(claim), "released");
  t.ok((await raw.get(path)).metadata.deletionTimestamp, "it is deleted, and still there");
  t.match(await store.claim({ ...claim, owner: owner("second") }), { podref: "default/first" });
  t.match(
    await store.claim(claim),
    { podref: "default/first" },
    "also for whom it was: it goes under whoever takes it",
  );
  await raw.merge(path, { metadata: { finalizers: null } });
  t.equal(await store.claim({ ...claim, owner: owner("second") }), undefined);
});

t.test("a definition of pools that drops what is said is refused where records are claims", async (t) => {
  const probePool = {
    ...kind("IPPool"),
    metadata: { name: "probe" },
    spec: { range: "10.0.0.0/24", allocations: { 1: { id: "c", podref: "a/b", ifname: "net1" } } },
  };
  const follows = async () => (await dryRun(POOLS, probePool)).body.spec.allocations[1].ifname === undefined;
  const properties = { id: { type: "string" }, podref: { type: "string" } }; // as 0.7 had it
  const allocations = { type: "object", additionalProperties: { type: "object", properties } };
  await redefine("ippools", ({ properties }) => void Object.assign(properties, { allocations }), follows);
  const refused = {
    kind: "refused",
    message: /the definition of ippools drops ifname, .*; kubectl apply -f manifests\/crds/,
  } as const;
  await t.rejects((await storeIn("coexist")).check(), refused);
  await t.resolves((await storeIn("absent")).check(), "records are a view then");
  t.equal(
    (await ipam(["takeover", "adopt", "--json", "--kubeconfig", kubeconfig])).exit,
    1,
    "and nothing is adopted by it",
  );
  const { object, text } = (await crds("ours")).find(({ object }) => object.spec.names.plural === "ippools")!;
  await raw.apply(object, text);
  await until("the server follows ours again", async () => !(await follows()), Boolean);
  await t.resolves((await storeIn("coexist")).check(), "with the manifest applied");
});

t.test("a definition of reservations that drops what is said is refused, with what mends it", async (t) => {
  const plural = "overlappingrangeipreservations";
  const follows = async () => (await dryRun(RESERVATIONS, probe)).body.spec.ifname === undefined;
  const drop = (spec: Json) => {
    delete spec.required;
    delete spec.properties.ifname;
  };
  await redefine(plural, drop, follows);
  const store = await storeIn("absent");
  await t.rejects(store.check(), {
    kind: "refused",
    message: new RegExp(`the definition of ${plural} drops .*; kubectl apply -f manifests/crds`),
  });
  await t.rejects(store.claim({ pool: pool("pruned", "10.8.0.0/24"), ip: "10.8.0.1", owner: owner("p") }), StoreError);
  t.same(await reserved(raw, "pruned"), [], "what was made is taken back");
  const { object, text } = (await crds("ours")).find(({ object }) => object.spec.names.plural === plural)!;
  await raw.apply(object, text);
  await until("the server follows ours again", async () => !(await follows()), Boolean);
  await t.resolves((await storeIn("absent")).check(), "with the manifest applied");
});
