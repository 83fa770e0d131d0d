import { CONTESTANTS, type Contestant } from "./contestants.ts";
import type { Place } from "./place.ts";
import type { Call } from "./timed.ts";

const RAILS = 4;

/** Pods of one contestant, from their creation to the last trace. */
export interface Run {
  readonly who: Contestant;
  readonly pods: number;
  /** From the first create to the moment that all run. */
  readonly runningMs: number;
  readonly calls: readonly Call[];
}

/** So many pods of each contestant in turn, `rounds` times; who begins changes from round to round. */
export async function measure(place: Place, name: string, pods: number, rounds: number): Promise<Run[]> {
  const runs: Run[] = [];
  for (let round = 0; round < rounds; round++)
    for (const who of round % 2 === 0 ? CONTESTANTS : CONTESTANTS.toReversed())
      runs.push(await once(place, who, `${name}-${round}`, pods));
  return runs;
}

async function once(place: Place, who: Contestant, name: string, pods: number): Promise<Run> {
  const names = Array.from({ length: pods }, (_, i) => `${who}-${name}-${i}`);
  const begin = performance.now();
  await place.create(who, names);
  await place.running(names);
  const runningMs = performance.now() - begin;
  await place.remove(names);
  const run = { who, pods, runningMs, calls: place.takeCalls() };
  const made = run.calls.filter(({ verb, exit }) => verb === "ADD" && exit === 0).length;
  if (made < pods * RAILS) throw new Error(`${made} of ${pods * RAILS} ADDs of ${names[0]} … were seen`);
  return run;
}
