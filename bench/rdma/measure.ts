import { type Path, pathOf, type Transport } from "../../cli/bench/rdma/path.ts";
import type { Side } from "../../cli/bench/rdma/place.ts";
import { measureBandwidth, measureLatency, type PerftestTask } from "../../cli/bench/rdma/run-perftest.ts";
import { surveyOf } from "../../cli/bench/rdma/survey.ts";

/** Its time limit is of each run, from its server's start to its end. */
export interface Task extends PerftestTask {
  say(what: string): void;
}

/** One rail of one side. TCP stands in where there is no RDMA device, and is never to be compared with RDMA. */
export interface Measured {
  readonly rail: string;
  readonly side: Side["kind"];
  readonly transport: Transport;
  /** The slower direction. */
  readonly gbps: number;
  /** `n0 → n1`, the direction of `gbps`. */
  readonly direction: string;
  readonly mtuBytes?: number;
  readonly typicalUs?: number;
  readonly p99Us?: number;
  /** With all rails busy. */
  readonly atOnceGbps?: number;
}

/** A rail that could not be measured, and why. */
export interface Failed {
  readonly rail: string;
  readonly side: Side["kind"];
  readonly error: string;
}

/** Measures the rails of a side one after the other, then, if asked for, all at once. What fails does not stop the others. */
export async function measureSide(side: Side, task: Task, atOnce: boolean): Promise<(Measured | Failed)[]> {
  const surveys = await Promise.all(side.places.map((place) => surveyOf(place, task)));
  const results: (Measured | Failed)[] = [];
  const paths = new Map<string, Path>();
  for (const rail of side.rails.keys()) {
    task.say(`${rail}, ${side.kind}`);
    const result = await tried(rail, side.kind, task.signal, async () => {
      const path = pathOf(side, surveys, rail);
      const measured = await measurePath(path, side.kind, task);
      paths.set(rail, path);
      return measured;
    });
    results.push(result);
  }
  return atOnce ? await withAllAtOnce(results, paths, side, task) : results;
}

/** What fails now does not take back what was measured before. */
async function withAllAtOnce(
  results: readonly (Measured | Failed)[],
  paths: ReadonlyMap<string, Path>,
  side: Side,
  task: Task,
): Promise<(Measured | Failed)[]> {
  task.say(`all rails at once, ${side.kind}`);
  const again = results.map(async (result) => {
    if ("error" in result) return [result];
    const path = paths.get(result.rail)!;
    const busy = await tried(result.rail, side.kind, task.signal, () => measureBandwidth(path, task));
    return "error" in busy ? [result, busy] : [{ ...result, atOnceGbps: busy.gbps }];
  });
  return (await Promise.all(again)).flat();
}

/** Only an abort goes on up. */
async function tried<T>(
  rail: string,
  side: Side["kind"],
  signal: AbortSignal,
  run: () => Promise<T>,
): Promise<T | Failed> {
  try {
    return await run();
  } catch (error) {
    signal.throwIfAborted();
    return { rail, side, error: (error as Error).message };
  }
}

async function measurePath(path: Path, side: Side["kind"], task: Task): Promise<Measured> {
  const { rail, ends, transport } = path;
  const there = await measureBandwidth(path, task);
  const back = await measureBandwidth({ ...path, ends: [ends[1], ends[0]] }, task);
  const [slower, from] = back.gbps < there.gbps ? [back, 1] : [there, 0];
  const measured: Measured = {
    rail,
    side,
    transport,
    ...slower,
    direction: `${ends[from]!.place.name} → ${ends[1 - from]!.place.name}`,
  };
  if (transport === "tcp") return measured;
  const { typicalUs, p99Us } = await measureLatency(path, task);
  return { ...measured, typicalUs, p99Us };
}
