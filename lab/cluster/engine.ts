import { readFileSync } from "node:fs";
import { load } from "js-yaml";
import type { Json } from "./raw.ts";

/** Settings of JavaScript engine and allocator that the DaemonSet's agents are started with. */
export function settingsOfEngine(): Record<string, string> {
  const file = new URL("../../manifests/daemonset.yaml", import.meta.url);
  const [{ env }] = (load(readFileSync(file, "utf8")) as Json).spec.template.spec.containers;
  const settings = env.filter(({ name }: Json) => /^(BUN_JSC|MIMALLOC)_/.test(name));
  return Object.fromEntries(settings.map(({ name, value }: Json) => [name, value]));
}
