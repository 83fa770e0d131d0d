// npm run simulate -- --seed 7 [--trace] [--shrink [--save NAME]] [--profile NAME] | --from 1 --count 100 [--seconds 60] [--steps 1000000] | --regressions
import { parseArgs } from "node:util";
import { realNowMs } from "./core/globals.ts";
import { KINDS, type Kind } from "./plan/operations.ts";
import { PROFILES, type ProfileName } from "./plan/profiles.ts";
import { save, savedScenarios } from "./plan/saved.ts";
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
    steps: { type: "string", default: "Infinity" },
    profile: { type: "string" },
    only: { type: "string" },
    regressions: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
    save: { type: "string" },
    "first-only": { type: "boolean", default: false },
  },
});
const profile = values.profile as ProfileName | undefined;
if (profile && !(profile in PROFILES)) throw new Error(`--profile is one of ${Object.keys(PROFILES).join(", ")}`);
const only = values.only?.split(",") as Kind[] | undefined;
const unknown = only?.find((kind) => !KINDS.includes(kind));
if (unknown) throw new Error(`--only: "${unknown}" is none of ${KINDS.join(", ")}`);

const limitMs = Number(values.seconds) * 1000;
const started = realNowMs();
const total = { runs: 0, steps: 0, calls: 0, virtualMs: 0, adds: 0, failures: 0 };
for (const [name, scenario] of scenarios()) {
  if (isEnough()) break;
  await tell(name, scenario());
}
const seconds = (realNowMs() - started) / 1000;
const cpuSeconds = (process.cpuUsage().user + process.cpuUsage().system) / 1e6;
const { runs, steps, calls, adds, virtualMs, failures } = total;
console.log(
  `${steps} steps, ${calls} requests, ${adds} sandboxes, ${(virtualMs / 3_600_000).toFixed(1)} virtual hours in ${seconds.toFixed(1)} s: ` +
    `${Math.round(steps / seconds)} steps/s, ${Math.round(steps / cpuSeconds)} a second of processor`,
);
console.log(`${runs - failures} seeds fine, ${failures} failed`);
process.exitCode = failures > 0 ? 1 : 0;

/** No more seeds are begun. */
function isEnough(): boolean {
  if (values["first-only"] && total.failures > 0) return true;
  return realNowMs() - started > limitMs || total.steps >= Number(values.steps);
}

function* scenarios(): Generator<[name: string, scenario: () => Scenario]> {
  if (values.regressions) for (const [name, scenario] of savedScenarios()) yield [name, () => scenario];
  if (values.regressions && !values.seed) return;
  const range = Array.from({ length: Number(values.count) }, (_, i) => String(Number(values.from) + i));
  for (const seed of values.seed?.split(",") ?? range)
    yield [`seed ${seed}`, () => scenarioOf(seed, { profile, only })];
}

async function tell(name: string, scenario: Scenario): Promise<void> {
  const { world, failure, hash, settledMs } = await run(scenario, { keepsTrace: values.trace });
  total.runs++;
  total.steps += world.simulation.steps;
  total.calls += world.network.calls;
  total.virtualMs += world.simulation.nowMs;
  total.adds += world.counts.adds;
  const told = `${scenario.profile}, ${world.simulation.steps} steps, hash ${hash}`;
  if (failure) {
    total.failures++;
    console.log(`${name}: ${failure.message} (${told}, at ${(world.simulation.nowMs / 1000).toFixed(3)} s)`);
    if (values.shrink) return tellShrunk(scenario);
    console.log(
      `  again, shortened and told: npm run simulate -- --seed ${scenario.seed} --profile ${scenario.profile} --shrink --trace`,
    );
  } else if (values.seed) console.log(`${name}: fine, settled after ${settledMs / 60_000} min (${told})`, world.counts);
  if (values.trace) console.log(readable(world.simulation.trace.lines));
}

async function tellShrunk(scenario: Scenario): Promise<void> {
  const { plan, outcome, runs } = await shrink(scenario);
  console.log(`shrunk to ${plan.length} operations in ${runs} runs: ${outcome.failure?.message}`);
  for (const { atMs, kind, dice } of plan) console.log(`  ${(atMs / 1000).toFixed(3)} s ${kind} ${dice.join(" ")}`);
  if (values.save) save(values.save, scenario, plan, outcome.failure?.message ?? "");
  if (values.trace) console.log(readable(outcome.world.simulation.trace.lines));
}
