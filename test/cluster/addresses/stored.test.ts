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
import { makePool, makeReservation } from "../commands/support/objects.ts";
import { ipam } from "../commands/support/railnet.ts";
import { pool } from "./support/agent.ts";
import { RESERVATIONS, reserved, setMode, startWorld, until } from "./support/world.ts";

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
const probe = { ...kind("OverlappingRangeIPReservation"), metadata: { name: "probe" }, spec: { podref: "a/b", ifname: "net1" } }; // biome-ignore format: one line

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

t.test("a definition of reservations that drops what is said is refused, with what mends it", async (t) => {
  const plural = "overlappingrangeipreservations";
  const follows = async () => (await dryRun(RESERVATIONS, probe)).body.spec.ifname === undefined;
  const drop = (spec: Json) => {
    delete spec.required;
    delete spec.properties.ifname;
  };
  await redefine(plural, drop, follows);
  const store = await storeIn("absent");
  await t.rejects(store.check(), { kind: "refused", message: new RegExp(`the definition of ${plural} drops .*; kubectl apply -f manifests/crds`) }); // biome-ignore format: one line
  await t.rejects(store.claim({ pool: pool("pruned", "10.8.0.0/24"), ip: "10.8.0.1", owner: owner("p") }), StoreError);
  t.same(await reserved(raw, "pruned"), [], "what was made is taken back");
  const { object, text } = (await crds("ours")).find(({ object }) => object.spec.names.plural === plural)!;
  await raw.apply(object, text);
  await until("the server follows ours again", async () => !(await follows()), Boolean);
  await t.resolves((await storeIn("absent")).check(), "with the manifest applied");
});
