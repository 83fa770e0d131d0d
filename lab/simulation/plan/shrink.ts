import { type Outcome, run } from "../run.ts";
import type { Operation } from "./operations.ts";
import type { Scenario } from "./scenario.ts";

export interface Shrunk {
  readonly plan: readonly Operation[];
  readonly outcome: Outcome;
  /** That it took. */
  readonly runs: number;
}

/** Leaves operations out as long as the same rule breaks: halves, quarters, then one by one. */
export async function shrink(scenario: Scenario): Promise<Shrunk> {
  let outcome = await run(scenario, { keepsTrace: true });
  const { rule, world } = outcome;
  let plan = scenario.plan.filter(({ atMs }) => atMs <= world.simulation.nowMs);
  let runs = 1;
  for (let size = plan.length >> 1; size >= 1; size >>= 1)
    for (let at = 0; at < plan.length; ) {
      const shorter = [...plan.slice(0, at), ...plan.slice(at + size)];
      const again = await run({ ...scenario, plan: shorter }, { keepsTrace: true });
      runs++;
      if (again.rule === rule) [plan, outcome] = [shorter, again];
      else at += size;
    }
  return { plan, outcome, runs };
}
