import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join, resolve } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { interruptibly } from "../interrupt.ts";
import { measure } from "./measure.ts";
import { type Options, parseOptions, USAGE } from "./options.ts";
import { Place } from "./place.ts";
import { formatTable, type Measured, toRows } from "./report.ts";
import { costOfTiming } from "./timed.ts";

const OUT = resolve(import.meta.dirname, "../out");
const say = (what: string) => console.error(`[bench] ${what} …`);

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) {
    console.log(USAGE);
    return 0;
  }
  // A program that got the same signal may have ended before it is heard of here.
  return interruptibly("taking the cluster down", (signal) => benchAll(options, signal), nextTurn);
}

async function benchAll(options: Options, signal: AbortSignal): Promise<number> {
  const load = [loadOfMachine()];
  const wrapperMs = costOfTiming();
  say(`a call takes ${wrapperMs.toFixed(2)} ms longer because it is timed, in no plugin's figure`);
  const measured = await measureAll(options, signal);
  load.push(loadOfMachine());
  return report(measured, { wrapperMs, load }, options);
}

async function measureAll({ rounds, bursts, pods, multus }: Options, signal: AbortSignal): Promise<Measured> {
  say(`a cluster starts: etcd, API server, kubelet, containerd, Multus (${multus})`);
  await using place = await Place.prepare({ pods: bursts > 0 ? pods : 1, multus, signal });
  say("one pod of each that does not count");
  await measure(place, "warm", 1, 1);
  say(`one pod at a time, ${rounds} of each in turn`);
  const single = await measure(place, "pod", 1, rounds);
  if (bursts > 0) say(`bursts of ${pods} pods, ${bursts} of each in turn: minutes`);
  const burst = await measure(place, "burst", pods, bursts);
  await place.assertAbsent();
  return { single, burst };
}

const loadOfMachine = () => Number(loadavg()[0]!.toFixed(1));

/** @param circumstances that a reader of the figures wants to know. */
function report(measured: Measured, circumstances: object, { check }: Options): number {
  const rows = toRows(measured);
  console.log(formatTable(rows));
  mkdirSync(OUT, { recursive: true });
  writeFileSync(join(OUT, "cluster.json"), `${JSON.stringify({ rows, ...circumstances }, undefined, 2)}\n`);
  return check && rows.some(({ kept }) => kept === false) ? 1 : 0;
}

process.exit(
  await main().catch((error: Error) => {
    console.error(error.message);
    return 2;
  }),
);
