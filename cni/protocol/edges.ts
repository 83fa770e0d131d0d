import { fstatSync, readSync, writeSync } from "node:fs";
import { ExecError, followChild } from "./child.ts";
import type { Exec, ExecReply, ExecRequest } from "./delegate.ts";
import { isCallVariable } from "./environment.ts";
import type { CniRequest, CniResponse } from "./request.ts";

const PIECE_BYTES = 64 << 10;

/** systemd's default for services: a runtime may call with an empty environment. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The call that this process received. Standard input is read to its end, not only to the first complete JSON value, and
 * not at all without CNI_COMMAND, nor for VERSION from a terminal: then a person calls by hand.
 */
export function readRequestFromProcess(name: string): CniRequest {
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(process.env))
    if (isCallVariable(key) && value !== undefined) env[key] = value;
  return { name, env, ...(env.CNI_COMMAND ? readStdin(env.CNI_COMMAND) : { stdin: "" }) };
}

function readStdin(verb: string): { stdin: string; stdinError?: string } {
  try {
    if (verb === "VERSION" && fstatSync(0).isCharacterDevice()) return { stdin: "" };
    return { stdin: readAll(0).toString("utf8") };
  } catch (error) {
    return { stdin: "", stdinError: (error as Error).message };
  }
}

/**
 * Prints a complete answer: process.stdout would lose everything beyond 64 KiB when the process exits.
 *
 * @throws {Error} when nobody reads stdout. Errors of stderr are ignored.
 */
export function writeResponse({ stdout, stderr }: CniResponse): void {
  writeAll(1, stdout);
  warn(stderr);
}

/**
 * Executes by node:child_process, in Bun and its workers, and in Node. The plugin gets its own process group, `/` as its
 * directory (the caller's may be gone), and of this process's environment only PATH; its stderr also goes to ours, as with
 * libcni. Processes that a plugin leaves running after a normal end are left alone.
 */
export const execCommand: Exec = (request) => run(request.binary, [], request);

/**
 * The same from a container: the plugin runs where the runtime would have run it.
 *
 * @param helper path of the shim under the name `railnet-host-exec`.
 */
export const execOnHost =
  (helper: string): Exec =>
  (request) =>
    run(helper, [request.binary], request);

async function run(command: string, args: readonly string[], request: ExecRequest): Promise<ExecReply> {
  const { env, signal } = request;
  signal?.throwIfAborted();
  // Not a static import: loading it costs 2 ms of start-up, and only this needs it; nor a dynamic one, which starts later.
  const { spawn } = process.getBuiltinModule("node:child_process");
  try {
    const child = spawn(command, args, {
      cwd: "/",
      detached: true,
      env: { PATH: process.env.PATH || DEFAULT_PATH, ...env },
      stdio: "pipe",
    });
    const reply = await followChild(child, request);
    warn(reply.stderr);
    return reply;
  } catch (error) {
    throw asExecError(error, command);
  }
}

/** Node throws some of spawn's failures and emits others, and each engine words them differently. */
function asExecError(error: unknown, binary: string): unknown {
  const { syscall, code } = error as NodeJS.ErrnoException;
  return code && syscall?.startsWith("spawn") ? new ExecError(`cannot execute ${binary}`, code, error) : error;
}

function warn(text: string): void {
  try {
    writeAll(2, text);
  } catch {
    // stderr is for people; there may be nobody
  }
}

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += patiently(() => writeSync(fd, bytes, at));
}

function readAll(fd: number): Buffer {
  const pieces: Buffer[] = [];
  for (;;) {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const length = patiently(() => readSync(fd, piece));
    if (length === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, length));
  }
}

/** The caller may have left its end of the pipe non-blocking: the flag belongs to the pipe, not to the process. */
function patiently<T>(call: () => T): T {
  for (;;)
    try {
      return call();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
}
