import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import type { ExecReply, ExecRequest } from "./delegate.ts";

/** The same limit as the shim's. */
const MAX_STDOUT_BYTES = 16 << 20;
const MAX_STDERR_BYTES = 64 << 10;

/** How long a killed process may take to end, or its pipes to close after its end, when something that it started holds them. */
const GRACE_MS = 1_000;

/** Why there is no reply. `code` is an errno name, or the name of the signal that ended the plugin. */
export class ExecError extends Error {
  override readonly name = "ExecError";
  readonly code: string;

  constructor(what: string, code: string, cause?: unknown) {
    super(`${what} (${code})`, cause === undefined ? {} : { cause });
    this.code = code;
  }
}

/**
 * Feeds a child that leads its own process group and collects its output. Kills the group and throws when the time is up,
 * the signal is aborted or stdout exceeds its limit; also throws when a signal ended the child.
 */
export async function followChild(child: ChildProcess, request: ExecRequest): Promise<ExecReply> {
  const { binary, stdin, timeoutMs, signal } = request;
  let [end, fail]: [() => void, (why: unknown) => void] = [() => {}, () => {}];
  const ended = new Promise<void>((resolve, reject) => {
    [end, fail] = [resolve, reject];
  });
  const cleanups: (() => void)[] = []; // Node 20, which the library runs on, has no DisposableStack
  using _ = { [Symbol.dispose]: () => cleanups.forEach((undo) => void undo()) };
  const after = (ms: number, act: () => void): void => {
    const timer = setTimeout(act, ms);
    cleanups.push(() => clearTimeout(timer));
  };
  let stopped: { why: unknown } | undefined;
  const stop = (why: unknown): void => {
    if (stopped || !isRunning(child)) return;
    stopped = { why };
    process.kill(-child.pid!, "SIGKILL");
    after(GRACE_MS, end);
  };
  const abort = (): void => stop(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  cleanups.push(() => signal?.removeEventListener("abort", abort));
  after(timeoutMs, () =>
    stop(new ExecError(`${binary} did not end within ${timeoutMs / 1000} s and was killed`, "ETIMEDOUT")),
  );
  const stdout = collect(child.stdout!, MAX_STDOUT_BYTES, () =>
    stop(new ExecError(`${binary} printed more than ${MAX_STDOUT_BYTES >> 20} MiB and was killed`, "EMSGSIZE")),
  );
  const stderr = collect(child.stderr!, MAX_STDERR_BYTES, () => {});
  child.once("error", fail).once("close", () => end());
  child.once("exit", () => (stopped ? end() : after(GRACE_MS, end)));
  child.stdin!.on("error", () => {}); // a plugin need not read its stdin
  child.stdin!.end(stdin);
  await ended;
  for (const stream of [child.stdin!, child.stdout!, child.stderr!]) stream.destroy();
  if (stopped) throw stopped.why;
  if (child.signalCode) throw new ExecError(`${binary} was killed`, child.signalCode);
  return { exit: child.exitCode ?? 1, stdout: stdout(), stderr: stderr() };
}

/** Once it has ended, its process group ID may be another's. */
const isRunning = (child: ChildProcess): boolean =>
  child.pid !== undefined && child.exitCode === null && child.signalCode === null;

/** @returns a function that gives the text so far, of which at most `limit` bytes are kept. */
function collect(stream: Readable, limit: number, onExcess: () => void): () => string {
  const pieces: Buffer[] = [];
  let length = 0;
  stream.on("data", (piece: Buffer) => {
    length += piece.length;
    if (length <= limit) pieces.push(piece);
    else onExcess();
  });
  return () => Buffer.concat(pieces).toString("utf8");
}
