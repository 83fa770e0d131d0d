import { readFileSync } from "node:fs";
import { load } from "js-yaml";
import t from "tap";
import { ALLOWED, interfaceOf, readPods, selects } from "../../../daemonset/rail-network/pods.ts";
import type { Json } from "../../../lab/cluster/raw.ts";

t.test("readPods() gives what is absent its default, as the definition does", async (t) => {
  const definition = load(readFileSync(new URL("../../../manifests/crds/railnetworks.yaml", import.meta.url), "utf8"));
  const { pods } = (definition as Json).spec.versions[0].schema.openAPIV3Schema.properties.spec.properties;
  const defaults = (of: Json): object =>
    Object.fromEntries(
      Object.entries<Json>(of.properties).flatMap(([key, one]) =>
        one.default === undefined ? [] : [[key, key === "settings" ? defaults(one) : one.default]],
      ),
    );
  const { namespaces: _, ...read } = readPods({ namespaces: {} });
  t.same(read, defaults(pods));
  t.same(ALLOWED, pods.properties.allow.items.enum);
  const every = Object.fromEntries(Object.entries<Json>(pods.properties.settings.properties).map(([key, one]) => [key, one.enum?.[0] ?? (one.type === "boolean" ? true : 1)])); // biome-ignore format: one row
  t.same(readPods({ namespaces: {}, settings: every }).settings, every, "it has the same settings");
});

for (const [pods, says] of [
  [[], /spec\.pods \[\]: want at least \{namespaces/],
  [{}, /spec\.pods\.namespaces undefined: want \{\} for every/],
  [{ namespaces: { matchLabels: { a: 1 } } }, /matchLabels \{"a":1\}/],
  [{ namespaces: { matchExpressions: [{ key: "a", operator: "Gt" }] } }, /matchExpressions .*with one of In/],
  [{ namespaces: {}, interface: "a/b" }, /interface "a\/b": want a name such as rail\{n\}/],
  [{ namespaces: {}, interface: "" }, /interface ""/],
  [{ namespaces: {}, interface: "sixteen-chars--{n}" }, /interface/],
  [{ namespaces: {}, sameIndex: "yes" }, /sameIndex "yes": want true or false/],
  [{ namespaces: {}, settings: { colour: 1 } }, /settings "colour": there is no such setting; want trust/],
  [{ namespaces: {}, settings: { trust: "on" } }, /settings\.trust "on": want on or off, unquoted/],
  [{ namespaces: {}, settings: { vlan: 4095 } }, /settings\.vlan 4095: want a whole number from 0 to 4094/],
  [{ namespaces: {}, settings: { link_state: "up" } }, /link_state "up": want auto or enable or disable/],
  [{ namespaces: {}, allow: "ips" }, /allow "ips": want a list of ips/],
  [{ namespaces: {}, allow: ["deviceID"] }, /allow "deviceID": want some of ips/],
] as const)
  t.test(`readPods() refuses ${JSON.stringify(pods)}`, async (t) => {
    t.throws(() => readPods(pods), { message: says });
  });

t.test("selects() as Kubernetes has it", async (t) => {
  const labels = { team: "a", gpu: "h100" };
  const one = (operator: "In" | "NotIn" | "Exists" | "DoesNotExist", key: string, ...values: string[]) =>
    selects({ matchExpressions: [{ key, operator, values }] }, labels);
  t.ok(selects({}, {}));
  t.ok(selects({ matchLabels: { team: "a" } }, labels));
  t.notOk(selects({ matchLabels: { team: "a", gpu: "a100" } }, labels));
  t.ok(one("In", "team", "a", "b"));
  t.notOk(one("In", "team", "b"));
  t.notOk(one("In", "toString", "b"));
  t.ok(one("NotIn", "team", "b"));
  t.ok(one("NotIn", "absent", "b"), "as labels.Requirement.Matches has it");
  t.ok(one("Exists", "gpu"));
  t.notOk(one("Exists", "constructor"));
  t.ok(one("DoesNotExist", "absent"));
});

t.test("interfaceOf() puts a rail's place in the name", async (t) => {
  t.equal(interfaceOf({ interface: "rail{n}" }, 3), "rail3");
  t.equal(interfaceOf({ interface: "rail" }, 0), "rail");
});
