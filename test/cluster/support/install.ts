import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiServer } from "./api-server.ts";
import type { Json, RawClient } from "./raw.ts";

const PROJECT = new URL("../../../", import.meta.url).pathname;
const OBJECTS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";

/** A YAML document, and what it says; the text is what goes to the server: the reader renames some keys. */
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
    cwd: `${PROJECT}test/peers/whereabouts`,
    encoding: "utf8",
  }).trim();
}

/** The definitions of the three Whereabouts resources: Railnet's, or the ones that Whereabouts ships. */
export async function crds(whose: "ours" | "upstream"): Promise<Document[]> {
  const pattern = whose === "ours" ? `${PROJECT}manifests/crds/*.yaml` : `${whereaboutsModule()}/doc/crds/*_*.yaml`;
  return (await Promise.all(globSync(pattern).map(readYaml))).flat();
}

/** Installs them, or puts them in place of the other's, and waits until they are served. */
export async function installCrds(raw: RawClient, whose: "ours" | "upstream" = "ours"): Promise<void> {
  const definitions = await crds(whose);
  for (const { object, text } of definitions) await raw.apply(object, text);
  for (const { spec } of definitions.map(({ object }) => object))
    for (const limit = Date.now() + 20_000; ; await sleep(20)) {
      const { status } = await raw.request("GET", `${OBJECTS}/${spec.names.plural}`);
      if (status === 200) break;
      if (Date.now() > limit) throw new Error(`${spec.names.plural} are not served: ${status}`);
    }
}

/** What `kubectl apply -f manifests/rbac.yaml` makes. @returns a token of the agent. */
export async function installAgent(api: ApiServer): Promise<string> {
  for (const { object, text } of await readYaml(`${PROJECT}manifests/rbac.yaml`)) await api.raw.apply(object, text);
  const token = await api.token("railnet");
  await until(api, token, `${OBJECTS}/ippools`);
  return token;
}

/** Whereabouts' service account and role, from its own manifest. @returns a token of it. */
export async function installWhereabouts(api: ApiServer): Promise<string> {
  const objects = await readYaml(`${whereaboutsModule()}/doc/crds/daemonset-install.yaml`);
  for (const { object, text } of objects) if (object.kind !== "DaemonSet") await api.raw.apply(object, text);
  const token = await api.token("whereabouts");
  await until(api, token, `${OBJECTS}/ippools`);
  return token;
}

/** The authorizer learns of a new role a moment after it was made. */
async function until(api: ApiServer, token: string, path: string): Promise<void> {
  for (const limit = Date.now() + 10_000; ; await sleep(20)) {
    const { status } = await api.raw.request("GET", path, { token });
    if (status !== 403) return; // 404 without the definitions: permitted all the same
    if (Date.now() > limit) throw new Error(`${path} stays forbidden`);
  }
}
