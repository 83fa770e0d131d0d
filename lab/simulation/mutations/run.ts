// node lab/simulation/mutations/run.ts [--count 40] [--seconds 60] [--named TEXT]: plants each mutation, and says which seed found it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import type { ProfileName } from "../plan/profiles.ts";
import { MUTATIONS } from "./all.ts";
import type { Mutation } from "./mutation.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "40" },
    seconds: { type: "string", default: "60" },
    named: { type: "string", default: "" },
    jobs: { type: "string", default: "2" },
  },
});

/** Seeds that break a rule without a mutation. */
const failing = new Map<ProfileName, Promise<string>>();

const waiting = MUTATIONS.filter(({ name, unseen }) => !unseen && name.includes(values.named));
const missed: string[] = [];
let found = 0;
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
console.log(
  `${found} found, ${missed.length} not found, ${MUTATIONS.filter(({ unseen }) => unseen).length} left out with a reason`,
);
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
async function look({ profiles = ["rough", "everyday"], name: _, ...edit }: Mutation): Promise<string> {
  for (const profile of profiles) {
    const skip = await (failing.get(profile) ?? baseline(profile));
    const output = await simulate(["--profile", profile, "--first-only", "--skip", skip], JSON.stringify([edit]));
    const [line = ""] = output.split("\n").filter((text) => text.startsWith("seed ") || text.includes("Error"));
    if (line) return `${profile}, ${line.slice(0, 150)}`;
  }
  return "";
}

function baseline(profile: ProfileName): Promise<string> {
  const seeds = simulate(["--profile", profile], "[]").then((output) =>
    [...output.matchAll(/^seed (\d+):/gm)].map(([, seed]) => seed).join(","),
  );
  failing.set(profile, seeds);
  return seeds;
}

async function simulate(args: readonly string[], mutation: string): Promise<string> {
  const argv = ["--import", "./lab/simulation/hooks.ts", "lab/simulation/main.ts", "--count", values.count, "--seconds", values.seconds, ...args]; // biome-ignore format: one line
  const env = { ...process.env, RAILNET_MUTATION: mutation };
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"], env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  await once(child, "close");
  return output;
}
