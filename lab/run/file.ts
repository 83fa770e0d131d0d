import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setPriority } from "node:os";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { type Counts, TapReader } from "./tap.ts";

export interface Run extends Counts {
  readonly seconds: number;
  /** Whether it was still running when its time was over. */
  readonly hung: boolean;
  /** Failures, skips, and of a file that failed all that it wrote about it. */
  readonly shown: readonly string[];
}

export interface Way {
  /** The file ends itself after this time (TAP_TIMEOUT), saying where it was; what cannot is killed. */
  readonly limitSeconds: number;
  readonly seed: number;
  readonly nice?: number | undefined;
}

/** From the file's own time limit to SIGTERM, and from there to SIGKILL. */
const GRACE_SECONDS = 20;
/** Lines of standard error that are shown of a file that failed. */
const MOST_STDERR = 100;
/** A process that the file started and left may hold its standard output: nobody waits for that. */
const DRAIN_MS = 2000;

const running = new Set<ChildProcess>();

/** Ends the files that run, as a terminal's Ctrl-C does. */
export function endRunning(): void {
  for (const child of running) child.kill("SIGTERM");
}

/** Runs one file and follows its TAP. */
export async function runFile(file: string, { limitSeconds, seed, nice }: Way): Promise<Run> {
  const begin = performance.now();
  const env = {
    ...process.env,
    TAP_TIMEOUT: `${limitSeconds}`,
    RAILNET_SEED: `${seed}`,
    NODE_COMPILE_CACHE: resolve(".cache/node"),
  };
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"], env });
  running.add(child);
  if (nice !== undefined) setPriority(child.pid!, nice);
  const tap = new TapReader();
  const stderr: string[] = [];
  const drained = Promise.all([
    eachLine(child.stdout, (line) => tap.read(line)),
    eachLine(child.stderr, (line) => stderr.push(line) > MOST_STDERR && stderr.shift()),
  ]);
  const { how, hung } = await ended(child, limitSeconds);
  running.delete(child);
  if (!(await Promise.race([drained.then(() => true), patience(DRAIN_MS)]))) {
    tap.problems.push("a process that it started holds its standard output");
    child.stdout.destroy();
    child.stderr.destroy();
  }
  tap.end();
  if (how !== "exit 0" && (hung || tap.counts.failed === 0))
    tap.problems.push(hung ? `still running after ${limitSeconds} s (${how})` : how);
  const failed = tap.counts.failed + tap.problems.length;
  const about = failed > 0 ? [...tap.problems, ...tap.comments, ...stderr.map((line) => `stderr: ${line}`)] : [];
  return { ...tap.counts, failed, hung, seconds: (performance.now() - begin) / 1000, shown: [...tap.shown, ...about] };
}

async function eachLine(from: Readable, take: (line: string) => void): Promise<void> {
  const lines = createInterface({ input: from });
  lines.on("line", take);
  await once(lines, "close");
}

const patience = (ms: number) => new Promise<false>((over) => setTimeout(over, ms, false).unref());

/** @returns how it exited; hung when its time was over before. */
async function ended(child: ChildProcess, limitSeconds: number): Promise<{ how: string; hung: boolean }> {
  let hung = false;
  const isOver = () => {
    hung = true;
  };
  const timers = [
    setTimeout(isOver, limitSeconds * 1000),
    setTimeout(() => child.kill("SIGTERM"), (limitSeconds + GRACE_SECONDS) * 1000),
    setTimeout(() => child.kill("SIGKILL"), (limitSeconds + 2 * GRACE_SECONDS) * 1000),
  ];
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  for (const timer of timers) clearTimeout(timer);
  return { how: signal ? `ended by ${signal}` : `exit ${code}`, hung };
}
