import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ours, singles, whereabouts } from "./contestants.ts";
import { Place } from "./place.ts";
import { formatTable, type Row, toRows } from "./report.ts";
import type { Storm } from "./storm.ts";

const project = resolve(import.meta.dirname, "../..");

const USAGE = `usage: node bench/ipam/run.ts [option...]

Addresses of Railnet and of the real Whereabouts on one real API server and etcd; prints a table, writes bench/out/ipam.json.
  --adds     ADDs of a storm (default 1000)
  --storms   of Railnet with the pool's view, and as many without, in turn; medians count (default 5)
  --at-once  in flight (default 100)
  --peer     ADDs of Whereabouts' storm, which takes minutes (default as --adds); 0 leaves it out
  --nodes    simulated, an agent each (default 10)
  --dist     directory of railnet (default dist)
  --check    exit with 1 when a promise was missed`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      adds: { type: "string", default: "1000" },
      storms: { type: "string", default: "5" },
      "at-once": { type: "string", default: "100" },
      peer: { type: "string" },
      nodes: { type: "string", default: "10" },
      dist: { type: "string", default: join(project, "dist") },
      check: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [adds, storms, atOnce, nodes] = [values.adds, values.storms, values["at-once"], values.nodes].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const rows = await measure({ adds, storms, atOnce, nodes, peer: Number(values.peer ?? adds), dist: values.dist });
  console.log(formatTable(rows));
  mkdirSync(join(project, "bench/out"), { recursive: true });
  writeFileSync(join(project, "bench/out/ipam.json"), `${JSON.stringify({ rows }, undefined, 2)}\n`);
  return values.check && rows.some(({ kept }) => kept === false) ? 1 : 0;
}

interface Task {
  readonly adds: number;
  readonly storms: number;
  readonly atOnce: number;
  readonly nodes: number;
  readonly peer: number;
  readonly dist: string;
}

/** Single calls first, on a quiet server, in turn; then the storms. */
async function measure({ adds, storms, atOnce, nodes, peer, dist }: Task): Promise<Row[]> {
  await using place = await Place.prepare(nodes, dist);
  say(`${nodes} agents start`);
  await place.withoutLeader(); // it would notice the live Whereabouts, and switch the mode
  await place.startAgents();
  say("single ADDs and DELs, in turn");
  const single = await singles(place, 30);
  await place.wipe();
  const [view, plain]: [Storm[], Storm[]] = [[], []];
  for (let round = 1; round <= storms; round++) {
    say(`${adds} ADDs, ${atOnce} at once, with the pool's view (${round} of ${storms})`);
    await place.withLeader();
    view.push(await stormOfOurs(place, adds, atOnce, true));
    say(`${adds} ADDs, ${atOnce} at once, without the view (${round} of ${storms})`);
    await place.withoutLeader();
    plain.push(await stormOfOurs(place, adds, atOnce, false));
  }
  if (peer > 0) say(`${peer} ADDs of Whereabouts, ${atOnce} at once: minutes`);
  const theirs = peer > 0 ? await whereabouts(place, peer, atOnce) : undefined;
  for (const [what, run] of Object.entries({ view: view.at(-1), plain: plain.at(-1), theirs }))
    if (run) console.error(`[bench] requests, ${what}: ${JSON.stringify(run.counts)}`);
  return toRows({ single, view, plain, theirs });
}

/** In an empty cluster, with agents that have just started. */
async function stormOfOurs(place: Place, adds: number, atOnce: number, withView: boolean): Promise<Storm> {
  await place.startAgents();
  const run = await ours(place, adds, atOnce, withView ? "10.2.0.0/16" : "10.3.0.0/16", withView);
  console.error(
    `[bench]   ${((run.done * 1000) / run.wallMs).toFixed(0)} ADDs/s, ${run.cpuMs.toFixed(2)} ms of the API server's processors for each`,
  );
  await place.wipe();
  return run;
}

const say = (what: string) => console.error(`[bench] ${what} …`);
process.exitCode = await main().catch((error: Error) => {
  console.error(error.message);
  return 2;
});
