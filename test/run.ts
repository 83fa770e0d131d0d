// Runs every test file, some beside each other, and ends with the true counts: "N passed, N failed".
//   run.ts [--seed N] [--busy N] [--limit SECONDS] [--tolerate-flaky] [PART...]
// Parts choose files by part of their path. A file that fails runs once more, alone: what then passes is flaky, is named in the
// last lines and has failed all the same, unless it stands in test/flaky.tsv. A skipped test is a failure when CI is set.
import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { startBusyLoops } from "../lab/run/busy.ts";
import { endRunning, type Run, runFile } from "../lab/run/file.ts";
import { knownFlaky } from "../lab/run/flaky.ts";
import { readOptions } from "../lab/run/options.ts";
import type { Counts } from "../lab/run/tap.ts";

interface Tier {
  readonly name: string;
  /** Files of one room run one after the other: they need most of a processor, or of the memory. */
  readonly room?: string;
  /** No file takes this long: one that hangs must not keep the others' results. */
  readonly limitSeconds: number;
  /** Nobody waits for the others as long as for the machines, which need one processor all the time. */
  readonly nice?: number;
  takes(file: string): boolean;
}

/** What takes longest comes first. */
const TIERS: readonly Tier[] = [
  {
    name: "test machines",
    room: "machine",
    nice: -5,
    limitSeconds: 2400,
    takes: (file) => file.startsWith("test/vm/"),
  },
  {
    name: "kubelet on a test machine",
    room: "machine",
    nice: -5,
    limitSeconds: 2400,
    takes: (file) => file.startsWith("test/cluster/kubelet-vm/"),
  },
  { name: "kubelet", room: "kubelet", limitSeconds: 1200, takes: (file) => file.startsWith("test/cluster/kubelet/") },
  { name: "API server", limitSeconds: 1200, takes: (file) => /^test\/cluster\/(?!kubelet)/.test(file) },
  { name: "network namespaces", limitSeconds: 900, takes: (file) => file.startsWith("test/netns/") },
  { name: "pure", limitSeconds: 600, takes: (file) => !/^test\/(netns|vm|cluster)\//.test(file) },
];
/** One more than processors: most files wait now and then. */
const JOBS = availableParallelism() + 1;

const { parts, seed, busy, limitSeconds, toleratesFlaky } = readOptions(process.argv.slice(2));
const files = globSync("test/**/*.test.ts")
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort();
const tolerated = toleratesFlaky ? new Set(files) : knownFlaky();
const again = `# seed ${seed}; --seed ${seed} repeats its random tests`;

const loops = startBusyLoops(busy);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => {
    endRunning();
    process.exit(1);
  });
console.log(again);

let done = 0;
const results = await runAll(TIERS.flatMap((tier) => files.filter(tier.takes).map((file) => ({ file, tier }))));
const flaky = await findFlaky([...results].filter(([, { failed, hung }]) => failed > 0 && !hung).map(([file]) => file));
for (const loop of loops) loop.kill();
report();

/** Runs what failed once more, alone. What is tolerated counts as it came out then. @returns what passed. */
async function findFlaky(failing: readonly string[]): Promise<string[]> {
  const passed: string[] = [];
  if (failing.length > 0) console.log(`# failed, running once more: ${failing.join(" ")}`);
  for (const file of failing) {
    const run = await runOne(file, TIERS.find(({ takes }) => takes(file))!);
    if (run.failed > 0) continue;
    passed.push(file);
    if (tolerated.has(file)) results.set(file, run);
  }
  return passed;
}

function report(): never {
  for (const { name, takes } of TIERS) {
    const mine = files.filter(takes).map((file) => results.get(file)!);
    const { passed, failed, skipped } = sum(mine);
    const seconds = mine.reduce((all, run) => all + run.seconds, 0).toFixed(0);
    if (mine.length > 0)
      console.log(`# ${name}: ${passed} passed, ${failed} failed, ${skipped} skipped; its files took ${seconds} s`);
  }
  const total = sum([...results.values()]);
  const failed = files.filter((file) => results.get(file)!.failed > 0 && !flaky.includes(file));
  if (failed.length > 0) console.log(`# failed: ${failed.join(" ")}`);
  for (const file of flaky)
    console.log(`# flaky, failed and then passed: ${file}${tolerated.has(file) ? " (tolerated)" : ""}`);
  if (process.env["CI"] && total.skipped > 0) {
    console.log(`# ${total.skipped} skipped: with CI set that is a failure`);
    total.failed += total.skipped;
  }
  if (total.passed + total.failed === 0) total.failed = 1; // nothing ran: nothing is proven
  console.log(again);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  process.exit(total.failed > 0 ? 1 : 0);
}

function sum(all: readonly Counts[]): Counts {
  const of = (key: keyof Counts) => all.reduce((count, counts) => count + counts[key], 0);
  return { passed: of("passed"), failed: of("failed"), skipped: of("skipped") };
}

/** Runs JOBS files beside each other: the first that wait and whose room is free. */
async function runAll(waiting: { file: string; tier: Tier }[]): Promise<Map<string, Run>> {
  const results = new Map<string, Run>();
  const running = new Map<string, Promise<void>>();
  while (waiting.length + running.size > 0) {
    const isFree = ({ file, tier }: { file: string; tier: Tier }) => !running.has(tier.room ?? file);
    const next = running.size < JOBS ? waiting.findIndex(isFree) : -1;
    if (next < 0) {
      await Promise.race(running.values());
      continue;
    }
    const [{ file, tier }] = waiting.splice(next, 1) as [{ file: string; tier: Tier }];
    const room = tier.room ?? file;
    const run = runOne(file, tier).then((result) => {
      results.set(file, result);
      running.delete(room);
    });
    running.set(room, run);
  }
  return results;
}

/** Runs one file and says how it went: a line, every failure whole. */
async function runOne(file: string, tier: Tier): Promise<Run> {
  const run = await runFile(file, { limitSeconds: limitSeconds ?? tier.limitSeconds, seed, nice: tier.nice });
  const line = `${run.failed > 0 ? "not ok" : "ok"} ${++done} - ${file} # time=${(run.seconds * 1000).toFixed(0)}ms`;
  console.log([line, ...run.shown.map((text) => `    ${text}`)].join("\n"));
  return run;
}
