import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ours, singles, whereabouts } from "./contestants.ts";
import { Place } from "./place.ts";
import { formatTable, type Row, toRows } from "./report.ts";

const project = resolve(import.meta.dirname, "../..");

const USAGE = `usage: node bench/ipam/run.ts [option...]

Addresses of Railnet and of the real Whereabouts on one real API server and etcd; prints a table, writes bench/out/ipam.json.
  --adds     ADDs of a storm (default 1000)
  --at-once  in flight (default 100)
  --peer     ADDs of Whereabouts' storm, which takes minutes (default as --adds); 0 leaves it out
  --nodes    simulated, an agent each (default 10)
  --dist     directory of railnet (default dist)
  --check    exit with 1 when a promise was missed`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      adds: { type: "string", default: "1000" },
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
  const [adds, atOnce, nodes] = [values.adds, values["at-once"], values.nodes].map(Number) as [number, number, number];
  const rows = await measure({ adds, atOnce, nodes, peer: Number(values.peer ?? adds), dist: values.dist });
  console.log(formatTable(rows));
  mkdirSync(join(project, "bench/out"), { recursive: true });
  writeFileSync(join(project, "bench/out/ipam.json"), `${JSON.stringify({ rows }, undefined, 2)}\n`);
  return values.check && rows.some(({ kept }) => kept === false) ? 1 : 0;
}

interface Task {
  readonly adds: number;
  readonly atOnce: number;
  readonly nodes: number;
  readonly peer: number;
  readonly dist: string;
}

/** Single calls first, on a quiet server, in turn; then the storms. */
async function measure({ adds, atOnce, nodes, peer, dist }: Task): Promise<Row[]> {
  await using place = await Place.prepare(nodes, dist);
  say(`${nodes} agents start`);
  await place.withoutLeader(); // it would notice the live Whereabouts, and switch the mode
  await place.startAgents();
  say("single ADDs and DELs, in turn");
  const single = await singles(place, 30);
  await place.wipe();
  await place.withLeader();
  await place.startAgents();
  say(`${adds} ADDs, ${atOnce} at once, with the pool's view`);
  const view = await ours(place, adds, atOnce, "10.2.0.0/16", true);
  await place.wipe();
  await place.withoutLeader();
  await place.startAgents();
  say(`${adds} ADDs, ${atOnce} at once, without the view`);
  const plain = await ours(place, adds, atOnce, "10.3.0.0/16", false);
  await place.wipe();
  if (peer > 0) say(`${peer} ADDs of Whereabouts, ${atOnce} at once: minutes`);
  const theirs = peer > 0 ? await whereabouts(place, peer, atOnce) : undefined;
  for (const [what, { counts }] of Object.entries({ view, plain, theirs: theirs ?? { counts: {} } }))
    console.error(`[bench] requests, ${what}: ${JSON.stringify(counts)}`);
  return toRows({ single, view, plain, theirs });
}

const say = (what: string) => console.error(`[bench] ${what} …`);
process.exitCode = await main().catch((error: Error) => {
  console.error(error.message);
  return 2;
});
