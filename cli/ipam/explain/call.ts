import { type Call, readRequest } from "../../../cni/protocol/request.ts";
import { UsageError } from "../options.ts";

/** Whose ADD is explained. */
export interface Who {
  /** `namespace/name` */
  readonly pod: string;
  readonly ifname: string;
}

/**
 * The ADD that a runtime would call, from a network configuration, a list of them (its first plugin with `ipam`), or a
 * NetworkAttachmentDefinition around either, in JSON or YAML.
 *
 * @throws {UsageError | CniError}
 */
export async function toCall(text: string, { pod, ifname }: Who): Promise<Call> {
  const [namespace, name] = pod.split("/");
  const env = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: "explain",
    CNI_NETNS: "/explain",
    CNI_IFNAME: ifname,
    CNI_PATH: "/",
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`,
  };
  return readRequest({ name: "railnet-ipam", env, stdin: JSON.stringify(toConfig(await parse(text))) });
}

type Json = Record<string, unknown>;

async function parse(text: string): Promise<Json> {
  const value = await parseEither(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new UsageError("cannot read the configuration: want a JSON or YAML object");
}

/** Loading the YAML library takes as long as the rest of this command. */
async function parseEither(text: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch {}
  const { load } = await import("js-yaml");
  try {
    return load(text);
  } catch (cause) {
    throw new UsageError(`cannot read the configuration: it is neither JSON nor YAML: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function toConfig(given: Json): Json {
  if (given["kind"] === "NetworkAttachmentDefinition") return toConfig(inDefinition(given));
  const plugins = given["plugins"];
  if (!Array.isArray(plugins)) return withName(given);
  const plugin = plugins.find((one) => one?.ipam);
  if (!plugin) throw new UsageError('cannot explain this list: none of its plugins has "ipam"');
  return withName({ ...plugin, name: given["name"], cniVersion: given["cniVersion"] });
}

function inDefinition({ spec, metadata }: Json): Json {
  const text = (spec as Json | undefined)?.["config"];
  if (typeof text !== "string") throw new UsageError("cannot explain this definition: it has no spec.config");
  const config = JSON.parse(text) as Json;
  return { ...config, name: config["name"] ?? (metadata as Json | undefined)?.["name"] };
}

const withName = (config: Json): Json => ({
  ...config,
  name: config["name"] ?? "explain",
  cniVersion: config["cniVersion"] ?? "1.0.0",
});
