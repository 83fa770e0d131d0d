import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { ClusterNode } from "../../test/cluster/support/cluster-node.ts";
import { Place } from "./place.ts";
import { formatTable, type Row, toRows } from "./report.ts";
import { type Storm, storm } from "./storm.ts";

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
const id = (text: string) => createHash("sha256").update(text).digest("hex");

function config(range: string) {
  return { cniVersion: "1.0.0", name: "bench", type: "macvlan", ipam: { type: "railnet-ipam", range } };
}

async function ours(place: Place, adds: number, atOnce: number, range: string, withView: boolean): Promise<Storm> {
  const nodeOf = (i: number): ClusterNode => place.nodes[i % place.nodes.length]!;
  const add = async (i: number) => {
    const sandbox = {
      id: id(`${range}-${i}`),
      pod: `job-${i}`,
      namespace: "team-a",
      uid: `00000000-0000-4000-8000-${String(i).padStart(12, "0")}`,
    };
    const { exit, json } = await nodeOf(i).call("ADD", config(range), sandbox);
    return { ok: exit === 0, ip: json?.ips?.[0]?.address };
  };
  const complete = async () => {
    const pool = (await place.pools()).find(({ metadata }) => metadata.name === range.replace("/", "-"));
    return Object.keys(pool?.spec.allocations ?? {}).length === adds;
  };
  return await storm(place, adds, atOnce, add, withView ? complete : undefined);
}

async function whereabouts(place: Place, adds: number, atOnce: number): Promise<Storm> {
  const wanted = place.whereabouts.config({ range: "10.4.0.0/16" });
  return await storm(place, adds, atOnce, async (i) => {
    const sandbox = { id: id(`wb-${i}`), pod: `job-${i}`, namespace: "team-a" };
    const { exit, json } = await place.whereabouts.call("ADD", wanted, sandbox, 240_000);
    return { ok: exit === 0, ip: json?.ips?.[0]?.address };
  });
}

export interface Singles {
  readonly add: { readonly railnet: number[]; readonly peer: number[] };
  readonly del: { readonly railnet: number[]; readonly peer: number[] };
}

/** Ours through the agent, theirs as a process, as runtimes call them; one of each in turn. */
async function singles(place: Place, rounds: number): Promise<Singles> {
  const node = place.nodes[0]!;
  const theirs = place.whereabouts.config({ range: "10.1.0.0/24" });
  const mine = config("10.5.0.0/24");
  const result: Singles = { add: { railnet: [], peer: [] }, del: { railnet: [], peer: [] } };
  const timed = async (into: number[], call: () => Promise<{ exit: number | null }>) => {
    const begin = performance.now();
    const { exit } = await call();
    if (exit !== 0) throw new Error("a single call failed");
    into.push(performance.now() - begin);
  };
  for (let i = -1; i < rounds; i++) {
    const sandbox = { id: id(`single-${i}`), pod: `single-${i}` };
    const into = i < 0 ? { add: { railnet: [], peer: [] }, del: { railnet: [], peer: [] } } : result;
    await timed(into.add.railnet, () => node.call("ADD", mine, sandbox));
    await timed(into.add.peer, () => place.whereabouts.call("ADD", theirs, sandbox));
    await timed(into.del.railnet, () => node.call("DEL", mine, sandbox));
    await timed(into.del.peer, () => place.whereabouts.call("DEL", theirs, sandbox));
  }
  return result;
}

process.exitCode = await main().catch((error: Error) => {
  console.error(error.message);
  return 2;
});
