import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAgent } from "./agent.ts";
import { Cases, type Contestant } from "./cases.ts";
import { executablesIn } from "./executables.ts";
import { interleave, type Job, type Timing } from "./interleave.ts";
import { hostPlace, vmPlace } from "./place.ts";
import { thickCgroup } from "./thick.ts";

/** What run.ts tells the process that measures, in its one argument. */
export interface Task {
  /** On the host also in the cgroup of a thick Multus. */
  readonly place: "host" | "vm";
  /** Of executablesIn(). */
  readonly dir: string;
  /** The journal's place. */
  readonly stateDir: string;
  /** Rounds with one attachment at once; more at once get fewer. */
  readonly rounds: number;
  readonly ipam: boolean;
  /** Only jobs whose label matches; a DEL goes with its ADD. */
  readonly filter: string;
}

/** Pause after each job: what the kernel puts off must not fall on the next one. The Go chain leaves a namespace to clean up. */
const GAP_MS = 120;
/** Rounds of the shim beforehand: an agent lives for weeks, and its engine compiles what has run some dozen times. */
const WARM_ROUNDS = 40;
const WARM_GAP_MS = 10;
const ALL: readonly Contestant[] = ["floor", "go", "shim", "alone"];

/** Sets the place up, starts the agent, times everything. */
async function measure(task: Task): Promise<Timing[]> {
  mkdirSync(task.stateDir, { recursive: true });
  const place = task.place === "host" ? hostPlace() : vmPlace();
  const env = { ...place.env, RAILNET_STATE_DIR: task.stateDir };
  const executables = executablesIn(task.dir);
  const dir = mkdtempSync(join(tmpdir(), "bench-"));
  const cases = new Cases({ ...place, env }, executables, dir, task.ipam);
  await using _agent = await startAgent(executables.agent, env, join(dir, "agent.log"));
  const time = (jobs: readonly Job[], rounds: number) => timeJobs(task, jobs, rounds);
  const timings = [1, 4, 16].flatMap((count) => time(cases.attach(count, ALL), roundsOf(task, count)));
  timings.push(...time(cases.set(), roundsOf(task, 1)));
  timings.push(...time(cases.versions(), task.rounds * 2));
  if (task.place === "host") timings.push(...timeThick(task, cases));
  rmSync(dir, { recursive: true });
  return timings;
}

function timeThick(task: Task, cases: Cases): Timing[] {
  using cgroup = thickCgroup();
  return [1, 8].flatMap((count) =>
    timeJobs(task, cases.attach(count, ["go", "shim"]), roundsOf(task, count), cgroup.files).map((timing) => ({
      ...timing,
      label: `thick/${timing.label}`,
    })),
  );
}

function timeJobs(
  { dir, filter }: Task,
  jobs: readonly Job[],
  rounds: number,
  cgroups: readonly string[] = [],
): Timing[] {
  const pattern = new RegExp(filter);
  const wanted = jobs.filter(({ label }) => pattern.test(label.replace("del", "add")));
  if (wanted.length === 0) return [];
  const tool = executablesIn(dir).interleave;
  const resident = wanted.filter(({ label }) => label.endsWith("/1/shim") || label.includes("/set/"));
  if (resident.length > 0) interleave(tool, resident, WARM_ROUNDS, WARM_GAP_MS);
  const broken = interleave(tool, wanted, 1, GAP_MS).filter(({ failed }) => failed > 0); // also warms
  if (broken.length > 0) throw new Error(`cannot time what fails: ${broken.map(({ label }) => label).join(", ")}`);
  return interleave(tool, wanted, rounds, GAP_MS, cgroups);
}

const roundsOf = ({ rounds }: Task, count: number) => Math.max(3, Math.ceil(rounds / Math.sqrt(count)));

try {
  console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]!) as Task)));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
