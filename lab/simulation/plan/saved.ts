import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Operation } from "./operations.ts";
import type { ProfileName } from "./profiles.ts";
import { type Scenario, scenarioOf } from "./scenario.ts";

/** A run that once broke a rule, by its operations: a seed alone is one of another plan as soon as the odds change. */
export interface Saved {
  readonly why: string;
  readonly seed: string;
  readonly profile: ProfileName;
  readonly plan: readonly Operation[];
}

const FOLDER = new URL("../regressions/", import.meta.url);

/** By name. */
export function savedScenarios(): Map<string, Scenario> {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
  return new Map(names.sort().map((name) => [name.replace(".json", ""), scenarioIn(name)]));
}

function scenarioIn(name: string): Scenario {
  const { seed, profile, plan }: Saved = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
  return { ...scenarioOf(seed, { profile }), plan };
}

export function save(name: string, { seed, profile }: Scenario, plan: readonly Operation[], why: string): void {
  const saved: Saved = { why, seed, profile, plan };
  writeFileSync(new URL(`${name}.json`, FOLDER), `${JSON.stringify(saved, undefined, 2)}\n`);
}
