// Runs every test file, some beside each other, and ends with the true counts: "N passed, N failed".
// Arguments choose files by part of their path. A skipped test is a failure when CI is set.
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism, setPriority } from "node:os";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
}

/** What takes longest comes first. Files of one room run one after the other: they need most of a processor, or of the memory. */
const TIERS = [
  { name: "test machines", room: "machine", takes: (file: string) => file.startsWith("test/vm/") },
  { name: "kubelet on a test machine", room: "machine", takes: (file: string) => file.startsWith("test/cluster/kubelet-vm/") }, // biome-ignore format: one line
  { name: "kubelet", room: "kubelet", takes: (file: string) => file.startsWith("test/cluster/kubelet/") },
  { name: "API server", takes: (file: string) => /^test\/cluster\/(?!kubelet)/.test(file) },
  { name: "network namespaces", takes: (file: string) => file.startsWith("test/netns/") },
  { name: "pure", takes: (file: string) => !/^test\/(netns|vm|cluster)\//.test(file) },
];
/** One more than processors: most files wait now and then. */
const JOBS = availableParallelism() + 1;
/** Nobody waits for the others as long as for the machines, which need one processor all the time. */
const MACHINE_NICE = -5;
/** No file takes this long: one that cannot end must not keep the others' results. */
const LIMIT_MS = 30 * 60_000;

const chosen = process.argv.slice(2);
const files = globSync("test/**/*.test.ts")
  .filter((file) => chosen.length === 0 || chosen.some((part) => file.includes(part)))
  .sort();

let ended = 0;
const results = await runAll(TIERS.flatMap(({ takes, room }) => files.filter(takes).map((file) => ({ file, room }))));
const failing = [...results].filter(([, { failed }]) => failed > 0).map(([file]) => file);
// Once more, alone and on a quiet machine: what then passes failed for want of time, and is named. What fails twice has failed.
if (failing.length > 0) console.log(`# failed, running once more: ${failing.join(" ")}`);
for (const file of failing) {
  results.set(file, await runFile(file));
  if (results.get(file)!.failed === 0) console.log(`# passed the second time: ${file}`);
}

for (const { name, takes } of TIERS) {
  const mine = files.filter(takes);
  const { passed, failed, skipped, seconds } = sum(mine.map((file) => results.get(file)!));
  if (mine.length > 0)
    console.log(
      `# ${name}: ${passed} passed, ${failed} failed, ${skipped} skipped; its files took ${seconds.toFixed(0)} s`,
    );
}
const total = sum([...results.values()]);
if (process.env.CI && total.skipped > 0) {
  console.log(`# ${total.skipped} skipped: with CI set that is a failure`);
  total.failed += total.skipped;
}
if (total.passed + total.failed === 0) total.failed = 1; // nothing ran: nothing is proven
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed > 0 ? 1 : 0);

function sum(all: readonly Counts[]): Counts {
  const of = (key: keyof Counts) => all.reduce((count, counts) => count + counts[key], 0);
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped"), seconds: of("seconds") };
}

/** Runs JOBS files beside each other: the first that wait and whose room is free. */
async function runAll(waiting: { file: string; room?: string | undefined }[]): Promise<Map<string, Counts>> {
  const results = new Map<string, Counts>();
  const running = new Map<string | undefined, Promise<void>>();
  while (waiting.length + running.size > 0) {
    const next = running.size < JOBS ? waiting.findIndex(({ file, room = file }) => !running.has(room)) : -1;
    if (next < 0) {
      await Promise.race(running.values());
      continue;
    }
    const [{ file, room = file }] = waiting.splice(next, 1) as [{ file: string; room?: string }];
    const run = runFile(file, room).then((counts) => {
      results.set(file, counts);
      running.delete(room);
    });
    running.set(room, run);
  }
  return results;
}

/** Runs one file and follows its TAP: when it has ended, a line for it, every failure whole; the counts of its summary. */
async function runFile(file: string, room?: string): Promise<Counts> {
  const begin = performance.now();
  const env = { ...process.env, TAP_TIMEOUT: "0", NODE_COMPILE_CACHE: resolve(".cache/node") };
  const test = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"], env, timeout: LIMIT_MS });
  if (room === "machine") setPriority(test.pid!, MACHINE_NICE);
  const exited = new Promise<number | null>((ended) => test.once("exit", ended));
  const counts: Counts = { passed: 0, failed: 0, skipped: 0, seconds: 0 };
  const shown: string[] = [];
  let showing = false;
  for await (const line of createInterface({ input: test.stdout })) {
    const summary = /^# \{ (.*) \}$/.exec(line)?.[1];
    if (summary) {
      const of = (key: string) => Number(new RegExp(`\\b${key}: (\\d+)`).exec(summary)?.[1] ?? 0);
      Object.assign(counts, { passed: of("pass"), failed: of("fail"), skipped: of("skip") + of("todo") });
    }
    if (/^ *not ok /.test(line)) showing = true;
    else if (/^ *(ok |# Subtest|# \{)/.test(line)) showing = false;
    if (showing || /# SKIP/.test(line)) shown.push(`    ${line}`);
  }
  const isWhole = counts.passed + counts.failed + counts.skipped > 0;
  const exit = await exited;
  if ((!isWhole || exit !== 0) && counts.failed === 0) counts.failed = 1;
  counts.seconds = (performance.now() - begin) / 1000;
  const ok = counts.failed > 0 ? "not ok" : "ok";
  console.log([`${ok} ${++ended} - ${file} # time=${(counts.seconds * 1000).toFixed(0)}ms`, ...shown].join("\n"));
  return counts;
}
