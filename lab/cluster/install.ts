import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { until } from "../until.ts";
import type { ApiServer } from "./api-server.ts";
import type { Json, RawClient } from "./raw.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
const OBJECTS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";

/** A YAML document, parsed; the text is what goes to the server, since the parser renames some keys. */
export interface Document {
  readonly text: string;
  readonly object: Json;
}

export async function readYaml(path: string): Promise<Document[]> {
  const { loadYaml } = await import("@kubernetes/client-node");
  const texts = readFileSync(path, "utf8").split(/^---.*$/m);
  return texts.filter((text) => /^kind:/m.test(text)).map((text) => ({ text, object: loadYaml<Json>(text) }));
}

/** Folder of the Whereabouts module that its executables were built from. */
export function whereaboutsModule(): string {
  const module = "github.com/k8snetworkplumbingwg/whereabouts";
  return execFileSync("go", ["list", "-m", "-f", "{{.Dir}}", module], {
    cwd: `${PROJECT}lab/peers/whereabouts`,
    encoding: "utf8",
  }).trim();
}

/** The definitions of Railnet's own resources: RailNode and the like. */
export async function installRailObjects(raw: RawClient): Promise<void> {
  const definitions = (await Promise.all(globSync(`${PROJECT}manifests/crds/rail*.yaml`).map(readYaml))).flat();
  for (const { object, text } of definitions) await raw.apply(object, text);
  for (const { object } of definitions) {
    const path = `/apis/railnet.io/v1alpha1/${object.spec.names.plural}`;
    await until(`${path} is served`, async () => (await raw.request("GET", path)).status === 200);
    const tried = async () => (await raw.request("POST", `${path}?dryRun=All`, { body: {} })).status;
    await until(`${path} can be written`, async () => (await tried()) !== 429);
  }
}

/** The definitions of the three Whereabouts resources: Railnet's, or the ones that Whereabouts ships. */
export async function crds(whose: "ours" | "upstream"): Promise<Document[]> {
  const pattern =
    whose === "ours"
      ? `${PROJECT}manifests/crds/*{pools,reservations}.yaml`
      : `${whereaboutsModule()}/doc/crds/*_*.yaml`;
  return (await Promise.all(globSync(pattern).map(readYaml))).flat();
}

/** Installs them, or replaces the other's, and waits until they are served. */
export async function installCrds(raw: RawClient, whose: "ours" | "upstream" = "ours"): Promise<void> {
  const definitions = await crds(whose);
  for (const { object, text } of definitions) await raw.apply(object, text);
  for (const { object } of definitions) {
    const path = `${OBJECTS}/${object.spec.names.plural}`;
    await until(`${path} is served`, async () => (await raw.request("GET", path)).status === 200);
    // For some seconds a new resource can be read, but a write is answered with 429.
    const tried = async () => (await raw.request("POST", `${path}?dryRun=All`, { body: {} })).status;
    await until(`${path} can be written`, async () => (await tried()) !== 429);
  }
}

/** What `kubectl apply -f manifests/rbac.yaml` makes. @returns a token of the agent. */
export async function installAgent(api: ApiServer): Promise<string> {
  for (const { object, text } of await readYaml(`${PROJECT}manifests/rbac.yaml`)) await api.raw.apply(object, text);
  const token = await api.token("railnet");
  await permitted(api, token, `${OBJECTS}/ippools`);
  return token;
}

/** What `kubectl apply -f manifests/policies.yaml` makes; it is in force a moment later. */
export async function installPolicies(api: ApiServer): Promise<void> {
  for (const { object, text } of await readYaml(`${PROJECT}manifests/policies.yaml`)) await api.raw.apply(object, text);
}

/** What `kubectl apply -f manifests/admission.yaml` makes: the label of pods; it is in force a moment later. */
export async function installAdmission(api: ApiServer): Promise<void> {
  for (const { object, text } of await readYaml(`${PROJECT}manifests/admission.yaml`))
    await api.raw.apply(object, text);
}

/** Whereabouts' service account and role, from its own manifest. @returns a token of it. */
export async function installWhereabouts(api: ApiServer): Promise<string> {
  const objects = await readYaml(`${whereaboutsModule()}/doc/crds/daemonset-install.yaml`);
  for (const { object, text } of objects) if (object.kind !== "DaemonSet") await api.raw.apply(object, text);
  const token = await api.token("whereabouts");
  await permitted(api, token, `${OBJECTS}/ippools`);
  return token;
}

/** The authorizer learns of a new role a moment after it was created. 404 without the definitions counts as permitted. */
async function permitted({ raw }: ApiServer, token: string, path: string): Promise<void> {
  await until(`${path} is permitted`, async () => (await raw.request("GET", path, { token })).status !== 403);
}

/** The NetworkAttachmentDefinition resource, as Multus ships it. */
export async function installNads(raw: RawClient): Promise<void> {
  const [kind, plural] = ["NetworkAttachmentDefinition", "network-attachment-definitions"];
  const spec = { type: "object", properties: { config: { type: "string" } } };
  const schema = { openAPIV3Schema: { type: "object", properties: { spec } } };
  await raw.apply({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.k8s.cni.cncf.io` },
    spec: {
      group: "k8s.cni.cncf.io",
      names: { kind, plural, singular: "network-attachment-definition", shortNames: ["net-attach-def"] },
      scope: "Namespaced",
      versions: [{ name: "v1", served: true, storage: true, schema }],
    },
  });
  const path = `/apis/k8s.cni.cncf.io/v1/namespaces/default/${plural}`;
  await until(`${path} is served`, async () => (await raw.request("GET", path)).status === 200);
}
