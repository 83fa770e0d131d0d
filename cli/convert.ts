import { readFileSync } from "node:fs";
import type { Argv } from "yargs";
import { toRailNetwork } from "../daemonset/rail-network/convert.ts";
import { parseRails } from "../daemonset/rails/config.ts";
import { CONFIG_MAP } from "../ipam/mode.ts";
import { CONFIG_MAPS, type KubeObject } from "../kubernetes/cluster.ts";
import { type ExitCode, running } from "./ipam/options.ts";
import { connectTo, findTarget, fromCaller, surroundingsOf } from "./ipam/store-target.ts";
import { print } from "./output.ts";

interface ConvertOptions {
  readonly kubeconfig: string | undefined;
  readonly namespace: string | undefined;
  readonly rails: string | undefined;
  readonly name: string;
  readonly json: boolean;
}

export const registerConvert = (y: Argv): Argv =>
  y.command(
    "convert",
    "write the RailNetwork that says what the ConfigMap's list of rails does; changes nothing",
    (y) =>
      y
        .option("kubeconfig", {
          type: "string",
          describe: "of the cluster; default: node.json, KUBECONFIG, the pod's service account",
        })
        .option("namespace", { type: "string", describe: "of the ConfigMap railnet-config; default: kube-system" })
        .option("rails", { type: "string", describe: "a file with the list of rails, in place of the ConfigMap" })
        .option("name", { type: "string", default: "rails", describe: "of the RailNetwork" })
        .option("json", { type: "boolean", default: false, describe: "in place of YAML" })
        .example(
          "$0 convert | kubectl apply -f -",
          "agents follow it at once; the ConfigMap's list is not read any more",
        ),
    running(convert),
  );

async function convert({ rails: file, name, json, ...place }: ConvertOptions): Promise<ExitCode> {
  const list = file ? readFileSync(fromCaller(file, process.env), "utf8") : await fromConfigMap(place);
  const rails = parseRails(list);
  if (rails.length === 0) throw new Error("cannot convert: the list of rails is empty");
  const object = toRailNetwork(name, rails);
  const { dump } = await import("js-yaml");
  print(json ? `${JSON.stringify(object, null, 2)}\n` : dump(object));
  return 0;
}

async function fromConfigMap(options: Pick<ConvertOptions, "kubeconfig" | "namespace">): Promise<string> {
  const cluster = await connectTo(findTarget(options, surroundingsOf(process.env)), options, "convert rails");
  const found = await cluster.get<KubeObject & { data?: Record<string, string> }>(CONFIG_MAPS, CONFIG_MAP);
  if (!found)
    throw new Error(`cannot convert: there is no ConfigMap ${cluster.namespace}/${CONFIG_MAP}; give --rails FILE`);
  return found.data?.["rails"] ?? "";
}
