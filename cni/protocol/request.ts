import { CniError, CODE } from "./error.ts";
import { type Dns, parseResult, type Result } from "./result.ts";

export type Verb = "ADD" | "CHECK" | "DEL" | "GC" | "STATUS" | "VERSION";
export interface CniRequest {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}
export interface CniResponse {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}
export interface NetworkConfig {
  readonly cniVersion: string;
  readonly name: string;
  readonly type: string;
  readonly ipam?: { readonly type?: string; readonly [key: string]: unknown };
  readonly dns?: Dns;
  readonly runtimeConfig?: Readonly<Record<string, unknown>>;
  readonly args?: { readonly cni?: Readonly<Record<string, unknown>> };
  readonly [key: string]: unknown;
}
export interface Call {
  readonly verb: Verb;
  readonly containerId: string;
  readonly netns: string;
  readonly ifname: string;
  readonly path: readonly string[];
  readonly args: Readonly<Record<string, string>>;
  readonly config: NetworkConfig;
  readonly prevResult?: Result;
  readonly validAttachments?: readonly { readonly containerID: string; readonly ifname: string }[];
  readonly request: CniRequest;
}
export function readArgs(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split(";")
      .filter((p) => p.includes("="))
      .map((p) => [p.slice(0, p.indexOf("=")), p.slice(p.indexOf("=") + 1)]),
  );
}
export function readRequest(request: CniRequest): Call {
  const { env, stdin } = request;
  const verb = env.CNI_COMMAND as Verb;
  const need: Record<string, string[]> = {
    ADD: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
    CHECK: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
    DEL: ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
    GC: ["CNI_PATH"],
    STATUS: ["CNI_PATH"],
  };
  if (!need[verb]) throw new CniError(CODE.INVALID_ENVIRONMENT, `unknown CNI_COMMAND: ${verb}`);
  const missing = need[verb].filter((k) => !env[k]);
  if (missing.length > 0)
    throw new CniError(CODE.INVALID_ENVIRONMENT, `required env variables [${missing.join(",")}] missing`);
  let config: any;
  try {
    config = JSON.parse(stdin);
  } catch (e) {
    throw new CniError(CODE.DECODING_FAILURE, `cannot read the configuration: ${(e as Error).message}`);
  }
  config = { ...config, cniVersion: config?.cniVersion || "0.1.0" };
  if (!config.name) throw new CniError(CODE.INVALID_CONFIG, "missing network name");
  const valid = config["cni.dev/valid-attachments"];
  return {
    verb,
    containerId: env.CNI_CONTAINERID ?? "",
    netns: env.CNI_NETNS ?? "",
    ifname: env.CNI_IFNAME ?? "",
    path: (env.CNI_PATH ?? "").split(":"),
    args: readArgs(env.CNI_ARGS ?? ""),
    config,
    request,
    ...(config.prevResult && { prevResult: parseResult(config.prevResult, config.cniVersion) }),
    ...(valid && { validAttachments: valid }),
  };
}
