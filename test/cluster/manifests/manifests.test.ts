import { readFileSync } from "node:fs";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { crds, installAgent, installCrds } from "../../../lab/cluster/install.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { Whereabouts } from "../../../lab/cluster/whereabouts.ts";
import { OBJECTS, reservation } from "../kubernetes/support/reservation.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
const GROUP = "whereabouts.cni.cncf.io";

/** A schema without what only people read. */
const withoutWords = (schema: Json): Json =>
  JSON.parse(
    JSON.stringify(schema, (key, value) => (key === "description" && typeof value === "string" ? undefined : value)),
  );

/** As the server keeps it. */
async function installed(whose: "ours" | "upstream"): Promise<Record<string, Json>> {
  await installCrds(api.raw, whose);
  const names = (await crds(whose)).map(({ object }) => object.metadata.name);
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, (await api.raw.get(`${path}/${name}`)).spec])),
  );
}

t.test(
  "manifests/crds are Whereabouts' definitions, but for the records of a pool, which are not validated",
  async (t) => {
    const upstream = await installed("upstream");
    const ours = await installed("ours");
    t.same(Object.keys(ours).sort(), Object.keys(upstream).sort());
    t.equal(Object.keys(ours).length, 3);
    const records = upstream[`ippools.${GROUP}`].versions[0].schema.openAPIV3Schema.properties.spec.properties;
    t.match(records.allocations, { additionalProperties: { required: ["id", "podref"] } });
    records.allocations = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    t.same(withoutWords(ours), withoutWords(upstream));
  },
);

t.test("a pool record keeps fields that no definition names", async (t) => {
  const record = { id: "a", podref: "b/c", ifname: "d", later: "field" };
  const spec = { range: "10.9.0.0/24", allocations: { 1: record } };
  await api.raw.post(`${OBJECTS}/ippools`, {
    apiVersion: `${GROUP}/v1alpha1`,
    kind: "IPPool",
    metadata: { name: "pool" },
    spec,
  });
  t.same((await api.raw.get(`${OBJECTS}/ippools/pool`)).spec, spec);
});

for (const whose of ["upstream", "ours"] as const)
  t.test(
    `the real Whereabouts takes an address and gives it back with ${whose === "ours" ? "these" : "its own"} definitions`,
    async (t) => {
      await installCrds(api.raw, whose);
      const whereabouts = await Whereabouts.install(api);
      const config = whereabouts.config({ range: `10.${whose.length}.0.0/24` });
      const sandbox = { id: "c".repeat(64), pod: "pod" };
      const added = await whereabouts.call("ADD", config, sandbox);
      t.match([added.exit, added.json], [0, { ips: [{ address: `10.${whose.length}.0.1/24` }] }]);
      const state = async () => {
        const { spec } = await api.raw.get(`${OBJECTS}/ippools/10.${whose.length}.0.0-24`);
        return [spec.allocations, (await api.raw.list(`${OBJECTS}/overlappingrangeipreservations`)).length];
      };
      t.same(await state(), [{ 1: { id: sandbox.id, ifname: "net1", podref: "default/pod" } }, 1]);
      t.equal((await whereabouts.call("DEL", config, sandbox)).exit, 0);
      t.same(await state(), [{}, 0]);
    },
  );

t.test("manifests/rbac.yaml lets the agent do what it needs, and nothing else", async (t) => {
  const token = await installAgent(api);
  const may = async (verb: string, resource: string, options: Json = {}): Promise<boolean> => {
    const { group = "", namespace = "kube-system", name, subresource } = options;
    const resourceAttributes = { verb, resource, group, namespace, name, subresource };
    const review = {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes },
    };
    const path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    return (await api.raw.request("POST", path, { body: review, token })).body.status.allowed;
  };
  const whereabouts = { group: GROUP };
  const leases = { group: "coordination.k8s.io" };
  const anywhere = { namespace: "team-a" };
  const config = { name: "railnet-config" };
  const rows: [verbs: string, resource: string, options: Json, allowed: boolean][] = [
    ["get list watch create patch delete", "overlappingrangeipreservations", whereabouts, true],
    ["deletecollection", "overlappingrangeipreservations", whereabouts, false],
    ["get create", "overlappingrangeipreservations", { ...whereabouts, ...anywhere }, false],
    ["get list watch create patch", "ippools", whereabouts, true],
    ["delete deletecollection", "ippools", whereabouts, false],
    ["get list watch create update patch delete", "nodeslicepools", whereabouts, true],
    ["get list watch create update patch delete", "leases", leases, true],
    ["deletecollection", "leases", leases, false],
    ["get update", "leases", { ...leases, ...anywhere }, false],
    ["list", "ippools", { ...whereabouts, ...anywhere }, true],
    ["get create update patch delete", "ippools", { ...whereabouts, ...anywhere }, false],
    ["lead", "leaders", { group: "railnet.io", name: "node-a" }, true],
    ["get list watch update patch", "configmaps", config, true],
    ["create", "configmaps", {}, true],
    ["get list watch update patch delete", "configmaps", { name: "other" }, false],
    ["get list", "pods", anywhere, true],
    ["watch create update patch delete", "pods", anywhere, false],
    ["create", "pods", { ...anywhere, subresource: "exec" }, false],
    ["get list watch", "nodes", {}, true],
    ["update patch delete", "nodes", {}, false],
    ["create patch", "events", anywhere, true],
    ["get list watch create update patch delete", "secrets", {}, false],
    ["create", "serviceaccounts", { subresource: "token", name: "railnet-node" }, true],
    ["create", "serviceaccounts", { subresource: "token", name: "railnet" }, false],
    ["create", "serviceaccounts", { subresource: "token", name: "default" }, false],
    ["create", "serviceaccounts", { subresource: "token" }, false],
    ["get list create update patch delete", "serviceaccounts", { name: "railnet" }, false],
  ];
  for (const [verbs, resource, options, allowed] of rows)
    for (const verb of verbs.split(" "))
      t.equal(await may(verb, resource, options), allowed, `${verb} ${resource} ${JSON.stringify(options)}`);
  const made = await api.raw.request("POST", `${OBJECTS}/overlappingrangeipreservations`, {
    body: reservation("10.0.0.1"),
    token,
  });
  t.equal(made.status, 201);
});

t.test("every rule of manifests/rbac.yaml stands under its reason", async (t) => {
  const lines = readFileSync(new URL("../../../manifests/rbac.yaml", import.meta.url), "utf8").split("\n");
  const rules = [...lines.keys()].filter((n) => lines[n]!.startsWith("  - apiGroups:"));
  t.ok(rules.length >= 8);
  for (const n of rules) t.match(lines[n - 1], /^ {2}# /, `line ${n + 1}`);
});
