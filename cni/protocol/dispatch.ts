import { CniError, CODE, toCniError } from "./error.ts";
import { withKnownKeys } from "./keys.ts";
import { type Call, type CniRequest, type CniResponse, readRequest } from "./request.ts";
import { formatResult, type Result } from "./result.ts";
import { type CniVersion, isSupported, LATEST_VERSION, SUPPORTED_VERSIONS } from "./version.ts";

/**
 * A plugin: its verbs get a checked call and the host that they work on, if they want one. VERSION and the wire are
 * dispatch()'s.
 */
export interface Plugin<Host = void> {
  readonly name: string;
  /** One line, for a person who calls the plugin by hand. */
  readonly about: string;
  /** A verb that is missing is answered with an error that says so. */
  readonly verbs: {
    /** Undoes all when formatResult() cannot say its result in the caller's version. */
    ADD?(call: Call, host: Host): Promise<Result>;
    CHECK?(call: Call, host: Host): Promise<void>;
    DEL?(call: Call, host: Host): Promise<void>;
    GC?(call: Call, host: Host): Promise<void>;
    STATUS?(call: Call, host: Host): Promise<void>;
  };
}

/**
 * Answers one CNI call, SPEC.md 1.1.0. Never throws; stdout is one JSON object or nothing. Errors go to stdout, where
 * libcni reads them, although section 2 says stderr.
 *
 * @param host not touched without a command and for VERSION: runtimes ask that often, of plugins that they do not use.
 *   Plugins without one leave it out.
 */
export async function dispatch<Host = void>(
  plugin: Plugin<Host>,
  request: CniRequest,
  ...[host]: undefined extends Host ? [host?: Host] : [host: Host]
): Promise<CniResponse> {
  const command = request.env.CNI_COMMAND;
  if (!command) return { exit: 0, stdout: "", stderr: aboutText(plugin.about) };
  if (command === "VERSION") return success(versionReply(request.stdin));
  try {
    const call = readRequest(request);
    return success(await run(plugin, call, host as Host));
  } catch (error) {
    return failure(error, versionOf(request.stdin));
  }
}

async function run<Host>({ name, verbs }: Plugin<Host>, call: Call, host: Host): Promise<object | undefined> {
  const { verb } = call;
  if (verb === "ADD" && verbs.ADD) return formatResult(await verbs.ADD(call, host), call.config.cniVersion);
  if (!verbs[verb])
    throw new CniError(
      CODE.INVALID_ENVIRONMENT,
      `cannot do CNI_COMMAND ${verb}: plugin ${name} does not have it; it has ${Object.keys(verbs).join(", ") || "none"}`,
    );
  await verbs[verb](call, host);
  return undefined;
}

/** What a caller is answered for anything thrown. Never throws. */
export function failure(thrown: unknown, cniVersion: CniVersion = LATEST_VERSION): CniResponse {
  const { code, message: msg, details } = toCniError(thrown);
  return { exit: 1, stdout: JSON.stringify({ cniVersion, code, msg, ...(details && { details }) }), stderr: "" };
}

const success = (answer?: object): CniResponse => ({
  exit: 0,
  stdout: answer ? JSON.stringify(answer) : "",
  stderr: "",
});

const versionReply = (stdin: string): object => ({
  cniVersion: versionOf(stdin),
  supportedVersions: SUPPORTED_VERSIONS,
});

const aboutText = (about: string): string =>
  `${about}\nCNI protocol versions supported: ${SUPPORTED_VERSIONS.join(", ")}\n`;

/** The caller's version (SPEC.md: answers repeat it), as far as it can be understood: else the latest. */
function versionOf(stdin: string): CniVersion {
  try {
    const { cniVersion } = withKnownKeys(JSON.parse(stdin), ["cniVersion"]);
    return isSupported(cniVersion) ? cniVersion : LATEST_VERSION;
  } catch {
    return LATEST_VERSION;
  }
}
