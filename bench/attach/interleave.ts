import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** A command, started in a network namespace, with PATH and `env` for its environment. */
export interface Step {
  readonly argv: readonly string[];
  readonly netns?: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** What is timed as one: chains run at once, the steps of a chain one after the other. */
export interface Job {
  readonly label: string;
  readonly chains: readonly (readonly Step[])[];
}

export interface Timing {
  readonly label: string;
  /** Commands that failed, of all rounds. */
  readonly failed: number;
  /** Wall time of the whole job, a round each. */
  readonly ms: readonly number[];
}

/** Compiles the tool, static, so that it runs in a guest too. */
export function buildInterleave(to: string): void {
  const source = join(import.meta.dirname, "interleave.c");
  execFileSync("gcc", ["-std=gnu17", "-O2", "-Wall", "-Werror", "-static", "-o", to, source]);
}

/** Enters cgroups, by their `cgroup.procs` files, before anything is timed: moving a process waits for RCU. */
const ENTER =
  'tool=$1 rounds=$2 gap=$3; shift 3; for file; do echo $$ > "$file" || exit 2; done; exec "$tool" "$rounds" "$gap"';

/**
 * Runs every job once a round, in order, with a pause after each.
 *
 * @param cgroups where the tool lives with all that it starts, as a thick Multus with its delegates.
 */
export function interleave(
  tool: string,
  jobs: readonly Job[],
  rounds: number,
  gapMs: number,
  cgroups: readonly string[] = [],
): Timing[] {
  const stdio = ["pipe", "pipe", "inherit"] as const;
  const out = execFileSync("sh", ["-c", ENTER, "sh", tool, `${rounds}`, `${gapMs}`, ...cgroups], {
    input: format(jobs),
    stdio: [...stdio],
    encoding: "utf8",
  });
  return out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Timing);
}

function format(jobs: readonly Job[]): string {
  const lines = jobs.flatMap(({ label, chains }) => [
    ["job", label],
    ...chains.flatMap((steps) => [["chain"], ...steps.map(stepWords)]),
  ]);
  return lines.map((words) => `${words.map(checked).join("\t")}\n`).join("");
}

function stepWords({ argv, netns, stdin, env = {} }: Step): string[] {
  return [
    "step",
    ...(netns ? [`netns=${netns}`] : []),
    ...(stdin ? [`stdin=${stdin}`] : []),
    ...Object.entries(env).map(([key, value]) => `env=${key}=${value}`),
    "--",
    ...argv,
  ];
}

function checked(word: string): string {
  if (/[\t\n]/.test(word)) throw new Error(`cannot time ${JSON.stringify(word)}: it holds a tab or a line end`);
  return word;
}
