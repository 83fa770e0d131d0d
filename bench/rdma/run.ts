import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Side } from "../../cli/bench/rdma/place.ts";
import { interruptibly } from "../interrupt.ts";
import { hostSide, parsePods, podSide } from "./kubectl.ts";
import { Machines } from "./machines.ts";
import { type Failed, type Measured, measureSide, type Task } from "./measure.ts";
import { type Options, parseOptions, USAGE } from "./options.ts";
import { judge, toRows } from "./report.ts";
import { formatTable } from "./table.ts";

const say = (what: string) => console.error(`[bench] ${what} …`);

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) {
    console.log(USAGE);
    return 0;
  }
  return interruptibly("ending what runs at both ends", async (signal) =>
    report(await measure(options, { ...options.runs, signal, say }), options),
  );
}

async function measure(options: Options, task: Task): Promise<(Measured | Failed)[]> {
  await using cleanup = new AsyncDisposableStack();
  const results: (Measured | Failed)[] = [];
  for (const side of await sidesOf(options, task, cleanup)) {
    const chosen = { ...side, rails: chosenRails(side, options.rails) };
    results.push(...(await measureSide(chosen, task, options.atOnce)));
  }
  return results;
}

async function sidesOf({ pods, hosts }: Options, task: Task, cleanup: AsyncDisposableStack): Promise<Side[]> {
  if (pods) {
    const host = hosts ? [hostSide(parsePods(hosts.pods), hosts.rails)] : [];
    return [...host, await podSide(parsePods(pods))];
  }
  const machines = cleanup.use(await Machines.prepare(task));
  return [machines.side("host"), machines.side("pod")];
}

function chosenRails({ kind, rails }: Side, chosen: Options["rails"]): Side["rails"] {
  const unknown = chosen?.filter((rail) => !rails.has(rail)) ?? [];
  if (unknown.length > 0)
    throw new Error(
      `cannot measure ${unknown.join(", ")}: the rails of the ${kind}s are ${[...rails.keys()].join(", ")}`,
    );
  return chosen ? new Map(chosen.map((rail) => [rail, rails.get(rail)!])) : rails;
}

function report(results: readonly (Measured | Failed)[], { gates, json }: Options): number {
  const rails = judge(results, gates);
  console.log(formatTable(rails));
  mkdirSync(dirname(json), { recursive: true });
  writeFileSync(json, `${JSON.stringify({ rows: toRows(rails, gates) }, undefined, 2)}\n`);
  const failed = rails.filter(({ failures }) => failures.length > 0);
  if (failed.length === 0) return 0;
  console.error(`[bench] FAILED: ${failed.map(({ rail }) => rail).join(", ")}`);
  return 1;
}

process.exit(
  await main().catch((error: Error) => {
    const first = error instanceof SuppressedError ? error.suppressed : error; // cleaning up failed as well
    console.error(first.message);
    return 2;
  }),
);
