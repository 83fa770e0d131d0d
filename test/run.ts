// Runs every test file, tier by tier, and ends with the true counts: "N passed, N failed".
// Arguments choose files by part of their path. A skipped test is a failure when CI is set.
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { createInterface } from "node:readline";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Files of one tier run beside each other where they share nothing; the test machines share the processor. */
const TIERS = [
  { name: "pure", jobs: 2, takes: (file: string) => !/^test\/(netns|vm|cluster)\//.test(file) },
  { name: "network namespaces", jobs: 2, takes: (file: string) => file.startsWith("test/netns/") },
  { name: "API server", jobs: 2, takes: (file: string) => /^test\/cluster\/(?!kubelet)/.test(file) },
  { name: "kubelet", jobs: 1, takes: (file: string) => file.startsWith("test/cluster/kubelet/") },
  { name: "test machines", jobs: 1, takes: (file: string) => file.startsWith("test/vm/") },
  { name: "kubelet on a test machine", jobs: 1, takes: (file: string) => file.startsWith("test/cluster/kubelet-vm/") },
];

const chosen = process.argv.slice(2);
const files = globSync("test/**/*.test.ts")
  .filter((file) => chosen.length === 0 || chosen.some((part) => file.includes(part)))
  .sort();

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
for (const { name, jobs, takes } of TIERS) {
  const mine = files.filter(takes);
  if (mine.length === 0) continue;
  const begin = performance.now();
  const counts = await runTwice(mine, jobs);
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  console.log(`# ${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${seconds} s`);
  for (const key of ["passed", "failed", "skipped"] as const) total[key] += counts[key];
}
if (process.env.CI && total.skipped > 0) {
  console.log(`# ${total.skipped} skipped: with CI set that is a failure`);
  total.failed += total.skipped;
}
if (total.passed + total.failed === 0) total.failed = 1; // nothing ran: nothing is proven
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed > 0 ? 1 : 0);

/**
 * A file that fails runs once more, alone and on a quiet machine: what then passes failed for want of time, and is named.
 * What fails twice has failed.
 */
async function runTwice(paths: readonly string[], jobs: number): Promise<Counts> {
  const failing: string[] = [];
  const first = await runTap(paths, jobs, failing);
  if (first.failed === 0 || failing.length === 0) return first;
  console.log(`# failed, running once more: ${failing.join(" ")}`);
  const second = await runTap(failing, 1, []);
  if (second.failed === 0) console.log(`# passed the second time: ${failing.join(" ")}`);
  return { ...first, passed: first.passed + Math.max(0, first.failed - second.failed), failed: second.failed };
}

/** Runs tap and follows its TAP: a line a file, every failure whole, the counts of its summary. */
async function runTap(paths: readonly string[], jobs: number, failing: string[]): Promise<Counts> {
  const tap = spawn(process.execPath, ["node_modules/tap/dist/esm/run.mjs", "-Rtap", `-j${jobs}`, "-t0", ...paths], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  let sawSummary = false;
  let showing = false;
  for await (const line of createInterface({ input: tap.stdout })) {
    const summary = /^# \{ (.*) \}$/.exec(line)?.[1];
    if (summary) {
      const of = (key: string) => Number(new RegExp(`\\b${key}: (\\d+)`).exec(summary)?.[1] ?? 0);
      Object.assign(counts, { passed: of("pass"), failed: of("fail"), skipped: of("skip") + of("todo") });
      sawSummary = true;
    }
    const failed = /^not ok \d+ - (test\/\S+)/.exec(line)?.[1];
    if (failed) failing.push(failed);
    if (/^ *not ok /.test(line)) showing = true;
    else if (/^ *(ok |# Subtest)/.test(line)) showing = false;
    if (showing || /^(not )?ok /.test(line) || /# SKIP/.test(line)) console.log(line);
  }
  const exit = await new Promise<number | null>((resolve) =>
    tap.exitCode === null ? tap.once("exit", resolve) : resolve(tap.exitCode),
  );
  if ((!sawSummary || exit !== 0) && counts.failed === 0) counts.failed = 1;
  return counts;
}
