import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CniError, CODE } from "./error.ts";
import { parseJson } from "./json.ts";
import { spelling } from "./keys.ts";
import type { Call } from "./request.ts";
import type { Result } from "./result.ts";
import { parseResult } from "./result-parse.ts";
import type { Verb } from "./version.ts";

/** One execution of another plugin. */
export interface ExecRequest {
  /** Absolute path. */
  readonly binary: string;
  /** The plugin's whole environment, except PATH. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}
export interface ExecReply {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs an executable to its end. Rejects with an Error whose `code` is an errno name when it cannot be started, when
 * the time is up (ETIMEDOUT) or when its output is too long (EMSGSIZE); with the signal's reason when that is aborted.
 * No process of its group keeps running after a rejection.
 */
export type Exec = (request: ExecRequest) => Promise<ExecReply>;

export interface DelegateOptions {
  /** Default 60,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Pause before retrying an executable that is being written; default 1,000, as libcni. */
  readonly busyMs?: number;
  /** Whether a path is that of an executable; default {@link isRegularFile}. */
  readonly isFile?: (path: string) => boolean;
}

/** How many characters of a plugin's output a message shows. */
const SHOWN = 200;

/** libcni tries six times in all. */
const BUSY_RETRIES = 5;

/**
 * Calls an IPAM plugin for its part, SPEC.md 1.1.0 section 4: the same stdin to the byte, the same `CNI_*` except for the
 * verb, and the same trace. GC and STATUS succeed when the plugin predates these verbs.
 *
 * @param type file name of the plugin: the first regular file of this name in CNI_PATH. Empty parts of CNI_PATH, which
 *   usually mean the working directory, are skipped.
 * @returns for ADD its addresses, routes and DNS settings in the internal form, without interfaces and indices.
 * @throws {CniError} the plugin's error, unchanged; 11 when it did not answer in time; 6 for an invalid answer.
 */
export async function delegate(
  exec: Exec,
  verb: Verb,
  type: string,
  call: Call,
  { timeoutMs = 60_000, signal, busyMs = 1_000, isFile = isRegularFile }: DelegateOptions = {},
): Promise<Result | undefined> {
  const request: ExecRequest = {
    binary: findPlugin(type, call.path, isFile),
    env: { ...call.request.env, CNI_COMMAND: verb },
    stdin: call.request.stdin,
    timeoutMs,
    ...(signal && { signal }),
  };
  const reply = await run(exec, request, type, busyMs);
  if (reply.exit !== 0) {
    const error = readError(reply, type);
    if (isTooOld(error, verb) || isUnknownToDel(error, verb)) return undefined;
    throw error;
  }
  return verb === "ADD" ? readAddresses(reply.stdout, type, call.config.cniVersion) : undefined;
}

/** Whether there is such a plugin: one that does not exist has reserved nothing. */
export const hasPlugin = (type: string, path: readonly string[], isFile = isRegularFile): boolean =>
  lookUp(type, path, isFile) !== undefined;

/**
 * @returns the path of a plugin's executable.
 * @throws {CniError} 7 for anything but a plugin's name, 100 when there is none.
 */
export function findPlugin(type: string, path: readonly string[], isFile = isRegularFile): string {
  const found = lookUp(type, path, isFile);
  if (found !== undefined) return found;
  if (!isFileName(type))
    throw new CniError(CODE.INVALID_CONFIG, `cannot use ipam.type ${JSON.stringify(type)}: want the name of a plugin`);
  throw new CniError(CODE.FAILED, `cannot find plugin "${type}" in CNI_PATH ${path.join(":")}: install it there`);
}

const lookUp = (type: string, path: readonly string[], isFile: (path: string) => boolean): string | undefined =>
  isFileName(type) ? path.map((dir) => join(dir, type)).find((file) => isFile(file)) : undefined;

/** Never a path: what the configuration names must be in CNI_PATH. */
const isFileName = (type: string): boolean => !["", ".", ".."].includes(type) && !/[/\0]/.test(type);

export function isRegularFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false; // whatever prevents us from looking, the next directory may have it
  }
}

async function run(exec: Exec, request: ExecRequest, type: string, busyMs: number): Promise<ExecReply> {
  for (let retries = 0; ; retries++)
    try {
      return await exec(request);
    } catch (error) {
      request.signal?.throwIfAborted();
      const code = (error as { code?: unknown }).code;
      if (code !== "ETXTBSY" || retries === BUSY_RETRIES) throw notRun(error, type, code);
      await delay(busyMs);
      request.signal?.throwIfAborted();
    }
}

function notRun(cause: unknown, type: string, errno: unknown): CniError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const code = errno === "ETIMEDOUT" ? CODE.TRY_AGAIN_LATER : CODE.FAILED;
  return new CniError(code, `cannot run plugin "${type}": ${why}`, { cause });
}

/** The error of a plugin that failed; its stderr only when stdout is empty, as libcni. */
function readError({ exit, stdout, stderr }: ExecReply, type: string): CniError {
  const failed = `plugin "${type}" failed with exit status ${exit}`;
  if (stdout.trim() === "") return new CniError(CODE.FAILED, `${failed}: ${excerpt(stderr) || "it printed nothing"}`);
  const said = tryParse(stdout);
  if (typeof said?.msg !== "string" || said.msg === "")
    return new CniError(CODE.DECODING_FAILURE, `${failed} and printed no CNI error: ${excerpt(stdout)}`);
  const code = Number.isInteger(said.code) && (said.code as number) > 0 ? (said.code as number) : CODE.FAILED;
  return new CniError(code, said.msg, typeof said.details === "string" ? { details: said.details } : {});
}

function tryParse(stdout: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(stdout);
  } catch {
    return undefined;
  }
}

/** Only the text tells: the code is 4 with some versions of the reference library and 100 with others. */
const isTooOld = ({ message }: CniError, verb: Verb): boolean =>
  (verb === "GC" || verb === "STATUS") && message.startsWith("unknown CNI_COMMAND");

/** SPEC.md, "Error", code 3: there is nothing to clean up. */
const isUnknownToDel = ({ code }: CniError, verb: Verb): boolean => verb === "DEL" && code === CODE.UNKNOWN_CONTAINER;

function readAddresses(stdout: string, type: string, configVersion: string): Result {
  const { ips, routes, dns } = readResult(stdout, `what plugin "${type}" printed`, configVersion);
  if (ips.length === 0)
    throw new CniError(CODE.FAILED, "IPAM plugin returned missing IP config", { details: `plugin "${type}"` });
  return { interfaces: [], ips: ips.map(({ interface: _, ...one }) => one), routes, dns };
}

const spellVersion = spelling("cniVersion");

/** Accepts any version; without one it is the configuration's. An invalid result is the plugin's fault. */
function readResult(stdout: string, what: string, configVersion: string): Result {
  try {
    const json = parseJson(stdout, what);
    const given = spellVersion(Object(json)).cniVersion;
    return parseResult(json, typeof given === "string" && given !== "" ? given : configVersion, what);
  } catch (error) {
    throw new CniError(CODE.DECODING_FAILURE, (error as Error).message, { details: excerpt(stdout), cause: error });
  }
}

const excerpt = (text: string): string => (text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text.trim());
