import { Lanes } from "../../lanes.ts";
import { type Path, pathOf } from "./path.ts";
import type { Place, ShellLimits } from "./place.ts";
import type { PlanStep } from "./plan.ts";
import { PlaceError } from "./pod-place.ts";
import type { Cell } from "./results.ts";
import type { Pair } from "./rounds.ts";
import { measureBandwidth, measureLatency, measureSweep, type PerftestTask } from "./run-perftest.ts";
import type { Survey } from "./survey.ts";

/** One end on one side: where commands run, what it has. */
export interface MeasuredEnd {
  readonly name: string;
  readonly place: Place;
  readonly survey: Survey;
  /** Links by rail. */
  readonly rails: ReadonlyMap<string, string>;
}

export interface PlanTask extends PerftestTask {
  /** Arguments of a sweep. */
  readonly sweep: string;
  /** Pairs that run at the same time. */
  readonly atOnce: number;
  /** How long an end that failed has to answer before it is taken for lost. */
  readonly probeMs: number;
  /** Told of every cell, with how many there are by then. */
  onCell(cell: Cell, done: number): void;
}

/** An end by its number, on a side; undefined where it could not take part, with the reason. */
export type EndOf = (
  side: Cell["side"],
  end: number,
) => MeasuredEnd | { readonly name: string; readonly error: string };

/**
 * Measures step by step. What fails does not stop the others; an end that does not answer any more is given up, so that
 * a lost node costs the limit of one run. Only an abort goes on up.
 */
export async function measurePlan(steps: readonly PlanStep[], endOf: EndOf, task: PlanTask): Promise<Cell[]> {
  const cells: Cell[] = [];
  const lost = new Map<string, string>();
  const all = [...new Set(steps.flatMap(({ rails }) => rails))];
  for (const step of steps) {
    const turns = new Lanes(task.atOnce);
    const jobs = step.rails.flatMap((rail) => step.pairs.map((pair, i) => ({ rail, pair, i })));
    const run = async ({ rail, pair, i }: (typeof jobs)[number]) => {
      const cell = await cellOf(step, rail, pair, step.mode === "incast" ? i : 0, { all, endOf, lost, task });
      cells.push(cell);
      task.onCell(cell, cells.length);
    };
    const done = await Promise.allSettled(jobs.map((job) => turns.add(() => run(job))));
    task.signal.throwIfAborted();
    for (const one of done) if (one.status === "rejected") throw one.reason;
  }
  return cells;
}

interface Around {
  readonly all: readonly string[];
  readonly endOf: EndOf;
  readonly lost: Map<string, string>;
  readonly task: PlanTask;
}

/** Ports of one receiver, for as many senders as there are at once. */
const PORTS_A_RAIL = 64;

async function cellOf(step: PlanStep, rail: string, [from, to]: Pair, nth: number, around: Around): Promise<Cell> {
  const { side, mode, test } = step;
  const ends = [around.endOf(side, from), around.endOf(side, to)] as const;
  const of = { side, mode, test, rail, from: ends[0].name, to: ends[1].name };
  for (const end of ends) {
    const error = "error" in end ? end.error : around.lost.get(`${side} ${end.name}`);
    if (error) return { ...of, transport: "rdma", error };
  }
  const [one, other] = ends as unknown as readonly [MeasuredEnd, MeasuredEnd];
  let path: Path | undefined;
  try {
    around.task.signal.throwIfAborted();
    path = pathBetween(step, rail, [one, other], nth, around.all);
    return { ...of, transport: path.transport, ...(await figures(path, step, around.task)) };
  } catch (error) {
    around.task.signal.throwIfAborted();
    if (error instanceof PlaceError) await findLost([one, other], side, around);
    return { ...of, transport: path?.transport ?? transportOf([one, other], rail), error: (error as Error).message };
  }
}

function pathBetween(
  step: PlanStep,
  rail: string,
  [one, other]: readonly [MeasuredEnd, MeasuredEnd],
  nth: number,
  all: readonly string[],
): Path {
  const rails = new Map(all.map((name) => [name, [one.rails.get(name), other.rails.get(name)] as const]));
  const programs = [`ib_${step.test}_bw`, ...(step.hasLatency ? ["ib_write_lat"] : [])];
  const side = { kind: step.side, places: [one.place, other.place] as const, rails };
  const path = pathOf(side, [one.survey, other.survey], rail, programs);
  return { ...path, port: path.port + nth * PORTS_A_RAIL };
}

/** What it would be measured by: a failed cell stands in the matrix of its like. */
function transportOf(ends: readonly MeasuredEnd[], rail: string): Cell["transport"] {
  const hasDevice = ({ survey, rails }: MeasuredEnd) => survey.gids.some(({ link }) => link === rails.get(rail));
  return ends.some((end) => end.rails.has(rail)) && !ends.some(hasDevice) ? "tcp" : "rdma";
}

async function figures(path: Path, { test, hasLatency, hasSweep }: PlanStep, task: PlanTask): Promise<Partial<Cell>> {
  const { gbps, mtuBytes } = await measureBandwidth(path, task, test);
  const bandwidth = { gbps, ...(mtuBytes !== undefined && { mtuBytes }) };
  if (path.transport === "tcp") return bandwidth;
  const latency = hasLatency ? await measureLatency(path, task) : undefined;
  const sizes = hasSweep ? await measureSweep(path, task, task.sweep) : undefined;
  return {
    ...bandwidth,
    ...(latency && { typicalUs: latency.typicalUs, p99Us: latency.p99Us }),
    ...(sizes && { sizes }),
  };
}

/** Asks both ends for a word; who has none is not asked again. */
async function findLost(ends: readonly MeasuredEnd[], side: Cell["side"], { lost, task }: Around): Promise<void> {
  const limits: ShellLimits = { signal: task.signal, limitMs: task.probeMs };
  await Promise.all(
    ends.map(async ({ name, place }) => {
      try {
        await place.sh("true", limits);
      } catch (error) {
        if (!task.signal.aborted) lost.set(`${side} ${name}`, `${name} was lost: ${(error as Error).message}`);
      }
    }),
  );
}
