// How far it goes: 32,000 ADDs of 1,000 simulated nodes into an empty cluster, then 100,000 reservations held. A node is a
// KubernetesStore and an Allocator of its own, all in this process, and asks what agents ask beside calls: reports, and looks
// at its own claims in turns; of eight ADDs one is followed by a DEL. The leader is a real agent. Writes
// bench/out/ipam-scale.json. Needs root. RAILNET_SCALE_NODES and RAILNET_SCALE_HELD for less.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { REPORT_MS, reportMode } from "../../daemonset/addresses/node/report.ts";
import { pause } from "../../daemonset/loop.ts";
import { parseCidr } from "../../ipam/address.ts";
import { Allocator } from "../../ipam/allocator.ts";
import { connect } from "../../ipam/connect.ts";
import { rangeOf } from "../../ipam/range.ts";
import { KubernetesStore } from "../../ipam/store/kubernetes.ts";
import type { Claim, Pool } from "../../ipam/store/store.ts";
import { reservationName } from "../../ipam/whereabouts/names.ts";
import { RESERVATIONS } from "../../kubernetes/cluster.ts";
import { ClusterNode } from "../../lab/cluster/cluster-node.ts";
import { FaultProxy } from "../../lab/cluster/fault-proxy.ts";
import { installAgent } from "../../lab/cluster/install.ts";
import { makeNode } from "../../lab/cluster/objects.ts";
import { useOf } from "../../lab/netns/process-use.ts";
import { Place } from "./place.ts";
import { quantile } from "./storm.ts";

const project = resolve(import.meta.dirname, "../..");
const NODES = Number(process.env["RAILNET_SCALE_NODES"] ?? 1000);
const [PODS, RAILS, AT_ONCE, HELD] = [8, 4, 100, Number(process.env["RAILNET_SCALE_HELD"] ?? NODES * 100)];
const IDLE_MS = 60_000;
const TURN_MS = 600_000;
/** Of so many ADDs one is followed by a DEL of another pod's interface. */
const RELEASED_OF = 8;

interface Phase {
  readonly adds: number;
  readonly failed: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds for each ADD. */
  readonly wallPerAdd: number;
  readonly apiCpuPerAdd: number;
}

const say = (what: string) => console.error(`[scale] ${what}`);
const rounded = (value: number) => Number(value.toPrecision(4));
const poolOf = (rail: number, block: number): Pool => {
  const [network, cidr] = [`rail${rail}`, `10.${rail * 8 + block}.0.0/16`];
  return { name: `${network}-${cidr.replace("/", "-")}`, cidr, network, overlapping: true };
};

await using place = await Place.prepare(2, join(project, "dist"));
await place.startAgents();
// The leader frees what nodes left that are gone.
for (let i = 0; i < NODES; i++) await makeNode(place.api.raw, `sim-${i}`);
const token = await installAgent(place.api);
const kubeconfig = place.api.kubeconfig({ token });
// One session for many nodes: 1,000 TLS connections of one process are no cluster's.
const clusters = await Promise.all(Array.from({ length: 4 }, () => connect({ kubeconfig })));
const log = { info: () => {}, warn: () => {} };
const nodes = Array.from({ length: NODES }, (_, i) => {
  const cluster = clusters[i % 4]!;
  const store = new KubernetesStore({ cluster, mode: () => "absent", log, createsAdopted: true });
  return { name: `sim-${i}`, cluster, store, allocator: new Allocator(store), claims: [] as Claim[] };
});

let made = 0;
let released = 0;
const asked = { reports: 0, gets: 0, missing: 0 };
const ending = new AbortController();
const errors = new Map<string, number>();
const given = new Map<string, string>();
const duplicates: string[] = [];

/** @param block which of each rail's ranges. */
async function one(block: number): Promise<void> {
  const i = made++;
  const [rail, pod] = [i % RAILS, Math.floor(i / RAILS)];
  const { name, allocator, claims } = nodes[pod % NODES]!;
  const pool = poolOf(rail, block);
  const podref = `team/job-${pod}`;
  const containerId = createHash("sha256").update(podref).digest("hex");
  const range = rangeOf(parseCidr(pool.cidr)!);
  const owner = { podref, ifname: `net${rail + 1}`, containerId, node: name };
  const ip = await allocator.allocate({ pool, range }, owner);
  const other = given.get(ip);
  if (other) duplicates.push(`${ip}: ${other}, ${podref}`);
  given.set(ip, podref);
  claims.push({ pool, ip, owner });
  if (i % RELEASED_OF === RELEASED_OF - 1) await giveBack(nodes[Math.floor(Math.random() * NODES)]!);
}

/** As after a DEL: the oldest of a node's claims. */
async function giveBack({ store, claims }: (typeof nodes)[number]): Promise<void> {
  const claim = claims.shift();
  if (!claim) return;
  given.delete(claim.ip); // before: it may be given out again at once
  if ((await store.release(claim)) !== "released") throw new Error(`${claim.ip} was not there to be released`);
  released++;
}

/** Each node says every two minutes that it lives. What its agent watches is by name, which costs nothing (watchers.ts). */
async function report({ cluster, name }: (typeof nodes)[number]): Promise<void> {
  await pause(REPORT_MS * Math.random(), ending.signal);
  for (; !ending.signal.aborted; await pause(REPORT_MS, ending.signal))
    await reportMode(cluster, name, { mode: "absent" }, ending.signal).then(
      () => asked.reports++,
      () => {},
    );
}

/** Each claim is looked at once in ten minutes, as agents of a large cluster do. */
async function lookInTurns(): Promise<void> {
  for (let i = 0; !ending.signal.aborted; i++) {
    await pause(TURN_MS / Math.max(1, given.size), ending.signal);
    const { cluster, claims } = nodes[i % NODES]!;
    const claim = claims[Math.floor(Math.random() * claims.length)];
    if (!claim) continue;
    const name = reservationName(claim.pool.network, claim.ip);
    const look = cluster.get(RESERVATIONS, name, { fromCache: true, signal: ending.signal });
    void look.then(
      (found) => (found ? asked.gets++ : asked.missing++),
      () => {},
    );
  }
}

async function phase(adds: number, block: number): Promise<Phase> {
  const before = useOf(place.api.pids.server).cpuSeconds;
  const [begin, ms] = [performance.now(), [] as number[]];
  let [next, failed] = [0, 0];
  const lane = async () => {
    while (next++ < adds) {
      const at = performance.now();
      try {
        await one(block);
        ms.push(performance.now() - at);
      } catch (error) {
        failed++;
        const text = String(error).slice(0, 120);
        errors.set(text, (errors.get(text) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const seconds = (performance.now() - begin) / 1000;
  const cpu = useOf(place.api.pids.server).cpuSeconds - before;
  ms.sort((a, b) => a - b);
  const result = {
    adds,
    failed,
    seconds: rounded(seconds),
    p50: rounded(quantile(ms, 0.5)),
    p99: rounded(quantile(ms, 0.99)),
    wallPerAdd: rounded((seconds * 1000) / adds),
    apiCpuPerAdd: rounded((cpu * 1000) / adds),
  };
  say(JSON.stringify(result));
  return result;
}

const residentMb = (pid: number): number => Math.round(useOf(pid).residentMb);

for (const node of nodes) void report(node);
void lookInTurns();
const first = await phase(1000, 0);
const whole = NODES * PODS * RAILS;
const rest = await phase(Math.max(1, whole - 1000), 0);
// Into pools that are new, as the first ones were: every store has to read them.
const later = await phase(1000, 1);
const ratio = {
  wall: rounded(later.wallPerAdd / first.wallPerAdd),
  apiCpu: rounded(later.apiCpuPerAdd / first.apiCpuPerAdd),
};
say(`1,000 ADDs after ${whole} to the first: ${JSON.stringify(ratio)}`);
const filling = await phase(Math.max(1, HELD - whole - 1000), 2);
const at100k = await phase(1000, 3);
const memory = {
  apiServerMb: residentMb(place.api.pids.server),
  etcdMb: residentMb(place.api.pids.etcd),
  agentsMb: place.nodes.map((node) => residentMb(node.agent!.pid)),
};
say(JSON.stringify(memory));
ending.abort();
const held = await place.reservations();
const freed = place.nodes.flatMap((node) =>
  node
    .log()
    .split("\n")
    .filter((line) => /freed/.test(line)),
);
say(`${held} reservations held, ${freed.length} lines of freed addresses: ${freed[0] ?? ""}`);
const idle = await idleBytes();
const isRight =
  duplicates.length === 0 && errors.size === 0 && held === given.size && ratio.wall <= 1.5 && ratio.apiCpu <= 1.5;
const result = {
  isRight,
  held,
  released,
  asked,
  freed: freed.length,
  first,
  rest,
  later,
  ratio,
  filling,
  at100k,
  duplicates,
  errors: Object.fromEntries(errors),
  memory,
  idle,
};
console.table({ first, rest, later, filling, at100k });
console.log(
  JSON.stringify(
    { ...result, first: undefined, rest: undefined, later: undefined, filling: undefined, at100k: undefined },
    undefined,
    2,
  ),
);
mkdirSync(join(project, "bench/out"), { recursive: true });
writeFileSync(join(project, "bench/out/ipam-scale.json"), `${JSON.stringify(result, undefined, 2)}\n`);
process.exitCode = isRight ? 0 : 1;

/** What one agent that is not the leader asks for in a quiet minute, through a proxy that counts. */
async function idleBytes(): Promise<{ requests: Readonly<Record<string, number>>; bytesPerMinute: number }> {
  await using proxy = await FaultProxy.start(place.api);
  const config = place.api.kubeconfig({ token, server: proxy.url });
  const node = new ClusterNode("idle", {
    folder: `${place.api.folder}/nodes`,
    kubeconfig: config,
    dist: join(project, "dist"),
  });
  await node.start();
  await sleep(20_000);
  const [before, counts] = [proxy.bytesSent, new Map(proxy.counts)];
  await sleep(IDLE_MS);
  const bytesPerMinute = proxy.bytesSent - before;
  const requests = Object.fromEntries(
    [...proxy.counts].map(([key, n]) => [key, n - (counts.get(key) ?? 0)]).filter(([, n]) => n),
  );
  await node.stop("SIGKILL");
  return { requests, bytesPerMinute };
}
