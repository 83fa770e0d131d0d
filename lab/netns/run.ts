import { spawn } from "node:child_process";

/** How a command ended. */
export interface Ran {
  readonly exit: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** A command that runs. */
export type Running<R = Ran> = Promise<R> & { readonly pid: number; kill(signal: NodeJS.Signals): void };

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Written this many milliseconds after the first half. */
  readonly secondHalfAfterMs?: number;
}

/** Starts a command with this environment and PATH, and feeds its stdin. */
export function start(command: string, args: readonly string[], options: RunOptions = {}): Running {
  const { env = {}, stdin = "", secondHalfAfterMs } = options;
  const begin = performance.now();
  const child = spawn(command, args, { env: { PATH: process.env["PATH"]!, ...env } });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => out.push(piece));
  child.stderr.on("data", (piece: Buffer) => err.push(piece));
  child.stdin.on("error", () => {}); // it may end before it has read everything
  const half = secondHalfAfterMs === undefined ? stdin.length : stdin.length >> 1;
  child.stdin.write(stdin.slice(0, half));
  if (half === stdin.length) child.stdin.end();
  else setTimeout(() => child.stdin.end(stdin.slice(half)), secondHalfAfterMs);
  const done = new Promise<Ran>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exit, signal) =>
      resolve({
        exit,
        signal,
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
        ms: performance.now() - begin,
      }),
    );
  });
  return Object.assign(done, { pid: child.pid!, kill: (signal: NodeJS.Signals) => void child.kill(signal) });
}

/** Runs a command of the test's own. @throws {Error} with its stderr when it fails. */
export async function must(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { exit, stdout, stderr } = await start(command, args, options);
  if (exit !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr || stdout}`);
  return stdout;
}

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
