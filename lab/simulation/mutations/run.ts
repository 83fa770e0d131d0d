// node lab/simulation/mutations/run.ts [--count 40] [--steps 600000] [--named TEXT] [--jobs 2]: plants each mutation, and says which seed finds it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import type { ProfileName } from "../plan/profiles.ts";
import { MUTATIONS } from "./all.ts";
import type { Mutation } from "./mutation.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "40" },
    steps: { type: "string", default: "600000" },
    named: { type: "string", default: "" },
    first: { type: "string", default: "0" },
    jobs: { type: "string", default: "2" },
  },
});

/** Whether a seed of a profile breaks no rule without a mutation. */
const known = new Map<string, Promise<boolean>>();
const waiting = MUTATIONS.slice(Number(values.first)).filter(
  ({ name, unseen }) => !unseen && name.includes(values.named),
);
const missed: string[] = [];
let found = 0;
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
const reasons = MUTATIONS.filter(({ unseen }) => unseen).length;
console.log(`${found} found, ${missed.length} not found, ${reasons} left out with a reason`);
for (const name of missed) console.log(`not found: ${name}`);
process.exitCode = missed.length > 0 ? 1 : 0;

async function work(): Promise<void> {
  for (let one = waiting.shift(); one; one = waiting.shift()) {
    const said = await look(one);
    if (said) found++;
    else missed.push(one.name);
    console.log(`${said ? "found" : "NOT FOUND"}: ${one.name}${said && ` | ${said}`}`);
  }
}

/** @returns by which seed of which profile, and how; empty: by none. */
async function look({ profiles = ["restarts", "everyday", "rough"], name: _, ...edit }: Mutation): Promise<string> {
  for (const profile of profiles) {
    const said = await lookIn(profile, JSON.stringify([edit]));
    if (said) return `${profile}, ${said}`;
  }
  return "";
}

async function lookIn(profile: ProfileName, mutation: string): Promise<string> {
  const count = Number(values.count);
  for (let from = 1; from <= count; ) {
    const range = ["--from", String(from), "--count", String(count - from + 1), "--steps", values.steps];
    const output = await simulate(["--profile", profile, "--first-only", ...range], mutation);
    const line = output.split("\n").find((text) => text.startsWith("seed "));
    if (!line && !output.includes(" seeds fine")) throw new Error(`cannot plant it: ${output.slice(0, 400)}`);
    if (!line) return "";
    const seed = Number(/^seed (\d+)/.exec(line)![1]);
    if (await isFine(profile, seed)) return line.slice(0, 150);
    from = seed + 1;
  }
  return "";
}

function isFine(profile: ProfileName, seed: number): Promise<boolean> {
  const key = `${profile} ${seed}`;
  const run = known.get(key) ?? simulate(["--profile", profile, "--seed", String(seed)], "[]").then(isWhole);
  known.set(key, run);
  return run;
}

function isWhole(output: string): boolean {
  return output.includes("1 seeds fine");
}

async function simulate(args: readonly string[], mutation: string): Promise<string> {
  const argv = ["--import", "./lab/simulation/hooks.ts", "lab/simulation/main.ts", ...args];
  const env = { ...process.env, RAILNET_MUTATION: mutation, NODE_COMPILE_CACHE: ".cache/node" };
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"], env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  await once(child, "close");
  return output;
}
