import { CniError, CODE, toCniError } from "./error.ts";
import { spelling } from "./keys.ts";
import { type Call, type CniRequest, type CniResponse, readRequest } from "./request.ts";
import { formatResult, type Result } from "./result.ts";
import { type CniVersion, isSupported, LATEST_VERSION, SUPPORTED_VERSIONS } from "./version.ts";

/**
 * A plugin: its verbs get a checked call and the host that they work on, if they want one. VERSION and the wire format are
 * dispatch()'s.
 */
export interface Plugin<Host = void> {
  readonly name: string;
  /** One line, for a person who calls the plugin by hand. */
  readonly about: string;
  /** A missing verb is answered with an error that says so. */
  readonly verbs: {
    /** Must undo everything if formatResult() cannot express its result in the caller's version. */
    ADD?(call: Call, host: Host): Promise<Result>;
    CHECK?(call: Call, host: Host): Promise<void>;
    DEL?(call: Call, host: Host): Promise<void>;
    GC?(call: Call, host: Host): Promise<void>;
    STATUS?(call: Call, host: Host): Promise<void>;
  };
}

/** Opens what the verbs work on. */
export type OpenHost<Host> = () => Host | Promise<Host>;

/**
 * Answers one CNI call, SPEC.md 1.1.0. Never throws; stdout is one JSON object or nothing. Errors go to stdout, where
 * libcni reads them, although section 2 says stderr.
 *
 * @param openHost called only when a verb is to be executed: runtimes often ask plugins that they do not use for VERSION,
 *   and errors in a call are reported without a host. Plugins that need none omit it.
 */
export async function dispatch<Host = void>(
  plugin: Plugin<Host>,
  request: CniRequest,
  ...[openHost]: undefined extends Host ? [openHost?: OpenHost<Host>] : [openHost: OpenHost<Host>]
): Promise<CniResponse> {
  const told = aboutItself(plugin, request);
  if (told) return told;
  try {
    const call = readRequest(request);
    return success(await run(plugin, call, openHost as OpenHost<Host>));
  } catch (error) {
    return failure(error, request);
  }
}

/** The answer to a call without a verb: without a command the about text, and VERSION. */
export function aboutItself({ about }: Pick<Plugin, "about">, { env, stdin }: CniRequest): CniResponse | undefined {
  if (!env.CNI_COMMAND) return { exit: 0, stdout: "", stderr: aboutText(about) };
  return env.CNI_COMMAND === "VERSION" ? success(versionReply(stdin)) : undefined;
}

async function run<Host>(
  { name, verbs }: Plugin<Host>,
  call: Call,
  openHost?: OpenHost<Host>,
): Promise<object | undefined> {
  const { verb } = call;
  if (!verbs[verb])
    throw new CniError(
      CODE.INVALID_ENVIRONMENT,
      `cannot do CNI_COMMAND ${verb}: plugin ${name} does not have it; it has ${Object.keys(verbs).join(", ") || "none"}`,
    );
  const result = await verbs[verb](call, (await openHost?.()) as Host);
  return verb === "ADD" ? formatResult(result as Result, call.config.cniVersion) : undefined;
}

/** The answer to a caller for anything thrown, in the version that its request names. Never throws. */
export function failure(thrown: unknown, request?: Pick<CniRequest, "stdin">): CniResponse {
  const cniVersion = request ? versionOf(request.stdin) : LATEST_VERSION;
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

const spellVersion = spelling("cniVersion");

/** The caller's version (SPEC.md: answers repeat it), if it is intelligible: otherwise the latest. */
function versionOf(stdin: string): CniVersion {
  try {
    const { cniVersion } = spellVersion(JSON.parse(stdin));
    return isSupported(cniVersion) ? cniVersion : LATEST_VERSION;
  } catch {
    return LATEST_VERSION;
  }
}
