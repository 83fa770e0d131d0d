import { isKilled, runAs } from "./core/actor.ts";
import { replaceGlobals } from "./core/globals.ts";
import { Chaos } from "./plan/chaos.ts";
import type { Scenario } from "./plan/scenario.ts";
import { checkAdded } from "./rules/added.ts";
import { brokenWhenQuiet, QUARANTINE_MS, QUIET_MS } from "./rules/quiet.ts";
import { Violation, World } from "./world/world.ts";
// What the product loads when it first needs it: here before time stands still.
import "../../daemonset/addresses/service/cluster-work.ts";
import "../../ipam/connect.ts";
import "../../ipam/store/directory.ts";
import "../../ipam/store/open-kubernetes.ts";
import "../../ipam/add.ts";
import "../../ipam/del.ts";
import "../../ipam/check.ts";
import "../../ipam/gc.ts";
import "../../ipam/status.ts";

/** It stays so. */
const CALM_MS = 5 * 60_000;
const LOOK_MS = 60_000;

export interface Outcome {
  readonly world: World;
  readonly failure: Error | undefined;
  /** The broken rule. */
  readonly rule: string;
  readonly hash: string;
  /** How long after the last fault all was well. */
  readonly settledMs: number;
}

replaceGlobals();
// Errors are many, and their stacks cost a tenth of the time.
if (!process.env["RAILNET_STACKS"]) Error.stackTraceLimit = 0;

/** Runs a scenario to its end, or to the first broken rule. */
export async function run(scenario: Scenario, { keepsTrace = false } = {}): Promise<Outcome> {
  const { seed, settings, maxPods, plan, chaosMs } = scenario;
  const world = new World(seed, settings, { keepsTrace });
  const { simulation } = world;
  const chaos = new Chaos(world, maxPods);
  if (!scenario.isTampered) world.onAdded = (attachment, ips) => checkAdded(world, attachment, ips);
  const onRejection = (error: unknown) => {
    if (isKilled(error)) return;
    simulation.failure ??= new Violation("an error that nobody handled", String((error as Error)?.stack ?? error));
  };
  process.on("unhandledRejection", onRejection);
  let settledMs = 0;
  const look = () => {
    const broken = [...brokenWhenQuiet(world)];
    const quietMs = simulation.nowMs - chaosMs;
    if (broken.length > 0) settledMs = quietMs;
    const late = broken.find(({ untilMs = QUIET_MS }) => quietMs >= untilMs);
    if (late) world.fail(late.rule, late.detail);
    else if (broken.length === 0 && quietMs - settledMs >= CALM_MS) simulation.stop();
    else simulation.after(LOOK_MS, look);
  };
  runAs(world.actor, () => {
    world.start();
    for (const operation of plan) simulation.after(operation.atMs, () => chaos.do(operation));
    simulation.after(chaosMs, () => chaos.end());
    simulation.after(chaosMs + LOOK_MS, look);
  });
  await simulation.run(chaosMs + QUARANTINE_MS + CALM_MS + 2 * LOOK_MS);
  process.off("unhandledRejection", onRejection);
  const { failure } = simulation;
  return {
    world,
    failure,
    rule: failure instanceof Violation ? failure.rule : (failure?.message ?? ""),
    hash: simulation.trace.hash,
    settledMs,
  };
}
