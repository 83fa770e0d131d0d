import { list, record, required, text } from "./decode.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { CniError, CODE } from "./error.ts";
import { type NetworkConfig, readNetworkConfig } from "./network-config.ts";
import type { Result } from "./result.ts";
import { parseResult } from "./result-parse.ts";
import type { Verb } from "./version.ts";

/** A CNI call as received: from the process's own environment and standard input, or through the agent's socket. */
export interface CniRequest {
  /** Name of the executable that was called. */
  readonly name: string;
  /** CNI_*, and the variables of the caller's trace. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** Why stdin could not be read to its end; absent if it was. */
  readonly stdinError?: string;
}
export interface CniResponse {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}
/** An attachment that the runtime knows, as GC lists it. */
export interface ValidAttachment {
  readonly containerID: string;
  readonly ifname: string;
}
/** Rails that one call attaches together. */
export interface RailSet {
  /** CNI_IFNAME of that call: the name under which the runtime knows all of them. */
  readonly via: string;
  /** The interfaces of all. The first one's record stands for the set: it is the last to be attached, and the last to go. */
  readonly rails: readonly string[];
}
/** A CNI call, checked. */
export interface Call extends Environment {
  readonly config: NetworkConfig;
  readonly prevResult?: Result;
  /** GC only. Undefined when the key is absent: then the runtime does not say what is valid. */
  readonly validAttachments?: readonly ValidAttachment[];
  readonly request: CniRequest;
  /** For a call for one rail of a set, whose `ifname` and `config` are then the rail's. */
  readonly set?: RailSet;
}

/**
 * Reads and checks a call, the environment before the configuration. A DEL is read leniently, since a pod that cannot be
 * cleaned up blocks for ever: odd CNI_ARGS and an invalid prevResult count as absent.
 *
 * @throws {CniError} 4 for the environment, naming all that is missing; 5 for stdin that broke; 6, 7 and 1 for the configuration.
 */
export function readRequest(request: CniRequest): Call {
  const environment = readEnvironment(request.env);
  const { verb } = environment;
  if (request.stdinError !== undefined)
    throw new CniError(CODE.IO_FAILURE, `cannot read the network configuration: ${request.stdinError}`);
  const config = readNetworkConfig(request.stdin, verb);
  const prevResult = readPrevResult(config, verb);
  const validAttachments = verb === "GC" ? readValidAttachments(config) : undefined;
  return {
    ...environment,
    config,
    request,
    ...(prevResult && { prevResult }),
    ...(validAttachments && { validAttachments }),
  };
}

function readPrevResult(config: NetworkConfig, verb: Verb): Result | undefined {
  const { prevResult, cniVersion } = config;
  if (prevResult === undefined || prevResult === null || verb === "GC" || verb === "STATUS") return undefined;
  try {
    return parseResult(prevResult, cniVersion, "prevResult");
  } catch (error) {
    if (verb === "DEL") return undefined;
    throw error;
  }
}

const readAttachments = list(record<ValidAttachment>({ containerID: required(text), ifname: required(text) }));

/** Strict, since attachments that are not read as valid are collected. The key of drafts, `cni.dev/attachments`, is ignored. */
function readValidAttachments(config: NetworkConfig): ValidAttachment[] | undefined {
  const key = "cni.dev/valid-attachments";
  return readAttachments(config[key], key);
}
