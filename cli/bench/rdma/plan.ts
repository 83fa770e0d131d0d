import type { BandwidthTest, BenchMode, Cell } from "./results.ts";
import { incasts, type Pair, sampled, tournament } from "./rounds.ts";

/** What is measured at the same time, but for the limit of pairs: no NIC is twice in it, other than an incast's receiver. */
export interface PlanStep {
  readonly side: Cell["side"];
  readonly mode: BenchMode;
  readonly test: BandwidthTest;
  /** One; all of them at once. */
  readonly rails: readonly string[];
  readonly pairs: readonly Pair[];
  readonly hasLatency: boolean;
  readonly hasSweep: boolean;
}

export interface PlanOptions {
  readonly ends: number;
  readonly rails: readonly string[];
  readonly sides: readonly Cell["side"][];
  readonly tests: readonly BandwidthTest[];
  readonly hasLatency: boolean;
  /** In the first round. */
  readonly hasSweep: boolean;
  readonly atOnce: boolean;
  readonly incast: boolean;
  /** Rounds of a sample; absent: all. */
  readonly sample?: number;
  readonly random: () => number;
}

/** Every step of a bench in its order: hosts first, rail by rail, then all rails, then all to one. */
export function planOf(options: PlanOptions): PlanStep[] {
  const { ends, sample, random } = options;
  const slots = sample === undefined ? tournament(ends) : sampled(ends, sample, random);
  return options.sides.flatMap((side) => [
    ...options.rails.flatMap((rail) => alone(side, rail, slots, options)),
    ...(options.atOnce ? slots.map((pairs) => step(side, "at-once", "write", options.rails, pairs)) : []),
    ...(options.incast ? allToOne(side, options) : []),
  ]);
}

function alone(
  side: Cell["side"],
  rail: string,
  slots: readonly Pair[][],
  { tests, hasLatency, hasSweep }: PlanOptions,
) {
  return slots.flatMap((pairs, slot) =>
    tests.map(
      (test): PlanStep => ({
        ...step(side, "alone", test, [rail], pairs),
        hasLatency: hasLatency && test === "write",
        hasSweep: hasSweep && test === "write" && slot < 2,
      }),
    ),
  );
}

const allToOne = (side: Cell["side"], { ends, rails }: PlanOptions): PlanStep[] =>
  rails.flatMap((rail) => incasts(ends).map((pairs) => step(side, "incast", "write", [rail], pairs)));

const step = (side: Cell["side"], mode: BenchMode, test: BandwidthTest, rails: readonly string[], pairs: readonly Pair[]): PlanStep => ({ side, mode, test, rails, pairs, hasLatency: false, hasSweep: false }); // biome-ignore format: one row

/** Figures that it will have. */
export const cellsIn = (steps: readonly PlanStep[]): number =>
  steps.reduce((sum, { rails, pairs }) => sum + rails.length * pairs.length, 0);
