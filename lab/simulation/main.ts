// npm run simulate -- --seed 7 [--trace] [--shrink] [--profile NAME] | --from 1 --count 100
import { parseArgs } from "node:util";
import { realNowMs } from "./core/globals.ts";
import { KINDS, type Kind } from "./plan/operations.ts";
import { PROFILES, type ProfileName } from "./plan/profiles.ts";
import { type Scenario, scenarioOf } from "./plan/scenario.ts";
import { shrink } from "./plan/shrink.ts";
import { readable } from "./readable.ts";
import { run } from "./run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    count: { type: "string", default: "20" },
    seconds: { type: "string", default: "Infinity" },
    profile: { type: "string" },
    only: { type: "string" },
    trace: { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
    skip: { type: "string", default: "" },
    "first-only": { type: "boolean", default: false },
  },
});
const profile = values.profile as ProfileName | undefined;
if (profile && !(profile in PROFILES)) throw new Error(`--profile is one of ${Object.keys(PROFILES).join(", ")}`);
const only = values.only?.split(",") as Kind[] | undefined;
const unknown = only?.find((kind) => !KINDS.includes(kind));
if (unknown) throw new Error(`--only: "${unknown}" is none of ${KINDS.join(", ")}`);

const seeds = values.seed
  ? values.seed.split(",")
  : Array.from({ length: Number(values.count) }, (_, i) => String(Number(values.from) + i));
const skipped = values.skip.split(",");
const started = realNowMs();
const limitMs = Number(values.seconds) * 1000;
const total = { seeds: 0, steps: 0, calls: 0, virtualMs: 0, adds: 0, failures: 0 };
for (const seed of seeds) {
  if (realNowMs() - started > limitMs) break;
  if (skipped.includes(seed)) continue;
  total.seeds++;
  const scenario = scenarioOf(seed, { profile, only });
  const { world, failure, hash, settledMs } = await run(scenario, { keepsTrace: values.trace });
  total.steps += world.simulation.steps;
  total.calls += world.network.calls;
  total.virtualMs += world.simulation.nowMs;
  total.adds += world.counts.adds;
  const told = `${scenario.profile}, ${world.simulation.steps} steps, hash ${hash}`;
  if (!failure) {
    if (values.seed) console.log(`seed ${seed}: fine, settled after ${settledMs / 60_000} min (${told})`, world.counts);
    if (values.trace) console.log(readable(world.simulation.trace.lines));
    continue;
  }
  total.failures++;
  console.log(`seed ${seed}: ${failure.message} (${told}, at ${(world.simulation.nowMs / 1000).toFixed(3)} s)`);
  if (values.shrink) await tellShrunk(scenario);
  else if (values.trace) console.log(readable(world.simulation.trace.lines));
  if (values["first-only"]) break;
}
const seconds = (realNowMs() - started) / 1000;
const { steps, calls, adds, virtualMs, failures } = total;
console.log(
  `${steps} steps, ${calls} requests, ${adds} sandboxes, ${(virtualMs / 3_600_000).toFixed(1)} virtual hours in ${seconds.toFixed(1)} s: ${Math.round(steps / seconds)} steps/s`,
);
console.log(`${total.seeds - failures} seeds fine, ${failures} failed`);
process.exitCode = failures > 0 ? 1 : 0;

async function tellShrunk(scenario: Scenario): Promise<void> {
  const { plan, outcome, runs } = await shrink(scenario);
  console.log(`shrunk to ${plan.length} operations in ${runs} runs: ${outcome.failure?.message}`);
  for (const { atMs, kind, dice } of plan) console.log(`  ${(atMs / 1000).toFixed(3)} s ${kind} ${dice.join(" ")}`);
  if (values.trace) console.log(readable(outcome.world.simulation.trace.lines));
}
