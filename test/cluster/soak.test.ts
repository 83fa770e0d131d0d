// Pods come and go on several nodes while agents are killed, the API server and etcd go away and requests fail; then a
// judge that shares no code with the product, and the command line, look at what is left. RAILNET_SOAK_SECONDS is for how
// long (default 90), longer where a busy machine has not brought enough pods and every accident by then;
// RAILNET_SOAK_SEED for which accidents.
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import t from "tap";
import type { ClusterNode } from "../../lab/cluster/cluster-node.ts";
import { installAgent } from "../../lab/cluster/install.ts";
import { fileSeed } from "../../lab/seed.ts";
import { configOf, type PodSandbox } from "./faults/support/runtime.ts";
import { startStage } from "./faults/support/stage.ts";

const SECONDS = Number(process.env["RAILNET_SOAK_SECONDS"] ?? 90);
const SEED = Number(process.env["RAILNET_SOAK_SEED"] ?? fileSeed());
const DIST = process.env["RAILNET_TEST_DIST"] ?? new URL("../../dist/test", import.meta.url).pathname;
const LEADER = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/railnet-leader";
/** So many times as long at most. */
const MOST_TIMES = 4;
const LANES = 8;
const PODS_A_LANE = 12;
const RANGES = { rail0: "10.20.0.0/22", rail1: "10.21.0.0/24" };

t.setTimeout((MOST_TIMES * SECONDS + 600) * 1000);
t.comment(`seed ${SEED}`);
const { api, proxy, runtime } = await startStage(SEED);
await api.raw.apply({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "railnet-config" },
  data: { whereabouts: "absent" },
});
const kubeconfig = api.kubeconfig({ token: await installAgent(api), server: proxy.url });
for (let i = 0; i < 4; i++) await runtime.start(await runtime.node(`node-${i}`, { kubeconfig }));

const random = diceOf(SEED);
const begin = Date.now();
const met = new Map<string, number>();
const count = (what: string) => met.set(what, (met.get(what) ?? 0) + 1);
const duplicates: string[] = [];
const isEnough = (): boolean =>
  (met.get("ADDs") ?? 0) >= SECONDS && Object.keys(ACCIDENTS).every((name) => met.has(name));
const isOver = (): boolean => Date.now() - begin > (isEnough() ? 1 : MOST_TIMES) * SECONDS * 1000;

/** What a test does to the API directly waits until there is one again. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 200) throw error;
      await sleep(250);
    }
  }
}

async function churn(): Promise<void> {
  const pods: PodSandbox[] = [];
  while (!isOver()) {
    if (pods.length === PODS_A_LANE || (pods.length > 0 && random(3) === 0)) await endOne(pods);
    else await startOne(pods);
    await sleep(random(100));
  }
}

/** A runtime tries once, and after a failure sends DEL before it tries anew with another sandbox. */
async function startOne(pods: PodSandbox[]): Promise<void> {
  const [network, range] = Object.entries(RANGES)[random(2)]!;
  const node = runtime.nodes[random(runtime.nodes.length)]!;
  const sandbox = await persist(() =>
    runtime.sandbox(node, random(8) === 0 ? "alone" : "agent", network, configOf(network, range)),
  );
  if ((await runtime.add(sandbox)).exit !== 0) {
    count("ADDs failed");
    return void (await persist(() => runtime.end(sandbox)));
  }
  count("ADDs");
  pods.push(sandbox);
  const owners = new Map<string, string>();
  for (const { ips, network, podref } of runtime.living)
    for (const ip of ips) {
      const other = owners.get(`${network}/${ip}`);
      if (other) duplicates.push(`${network}/${ip}: ${other}, ${podref}`);
      owners.set(`${network}/${ip}`, podref);
    }
}

async function endOne(pods: PodSandbox[]): Promise<void> {
  const [sandbox] = pods.splice(random(pods.length), 1);
  if (random(5) === 0) {
    count("vanished");
    return await persist(() => runtime.vanish(sandbox!));
  }
  await persist(() => runtime.end(sandbox!));
  count("DELs");
}

async function killed(node: ClusterNode): Promise<void> {
  await node.stop("SIGKILL");
  await sleep(random(500));
  await runtime.start(node);
}

async function leader(): Promise<ClusterNode> {
  const { body } = await api.raw.request("GET", LEADER);
  const holder: string = body.spec?.holderIdentity ?? "";
  return runtime.nodes.find(({ name }) => holder.startsWith(`${name}_`)) ?? runtime.nodes[0]!;
}

/** Requests to Whereabouts' objects fail in some way, one in three, for some seconds. */
async function badRequests(): Promise<void> {
  const when = (["before", "after"] as const)[random(2)]!;
  const effects = [
    ...[409, 422, 429, 500, 504].map((status) => ({ kind: "answer" as const, status, when })),
    { kind: "cut" as const, when },
    { kind: "slow" as const, ms: 5000 },
  ];
  const undo = proxy.on({ effect: effects[random(effects.length)]!, path: /whereabouts\.cni/, probability: 1 / 3 });
  await sleep(1000 + random(3000));
  undo();
}

const ACCIDENTS: Readonly<Record<string, () => Promise<void>>> = {
  "agents killed": () => killed(runtime.nodes[random(runtime.nodes.length)]!),
  "leaders killed": async () => killed(await leader()),
  "all agents killed": async () => void (await Promise.all(runtime.nodes.map(killed))),
  "API server restarted": async () => {
    await api.down("SIGKILL");
    await sleep(random(2000));
    await api.startAgain();
  },
  "etcd restarted": () => api.restartEtcd(),
  "connections refused": async () => {
    await proxy.down();
    await sleep(random(3000));
    await proxy.up();
  },
  "bad requests": badRequests,
  "worse requests": badRequests,
};

/** All of them in a random order, again and again. */
async function accidents(): Promise<void> {
  const left: string[] = [];
  while (!isOver()) {
    if (left.length === 0) left.push(...Object.keys(ACCIDENTS));
    const [name] = left.splice(random(left.length), 1);
    await ACCIDENTS[name!]!();
    count(name!);
    await sleep(500 + random(2000));
  }
}

t.test(`addresses through ${SECONDS} s of accidents`, async (t) => {
  await Promise.all([accidents(), ...Array.from({ length: LANES }, churn)]);
  await proxy.heal();
  t.comment(JSON.stringify(Object.fromEntries(met)));
  t.same(duplicates, [], "no address was alive twice at any time");
  t.ok((met.get("ADDs") ?? 0) >= SECONDS, "pods came all the time");
  for (const name of Object.keys(ACCIDENTS)) t.ok(met.get(name), `${name} happened`);
  t.ok(runtime.living.length > 0, "pods live");
  t.same(await runtime.wrong(undefined, 180_000), [], "the checker finds nothing");
  const run = promisify(execFile)(`${DIST}/railnet`, ["ipam", "audit", "--json", "--kubeconfig", api.kubeconfig()]);
  const { stdout } = await run.catch((error: { stdout: string }) => error);
  t.same(JSON.parse(stdout).findings, [], "railnet ipam audit finds nothing");
});

/** Whole numbers below `limit`, the same ones for the same seed as long as nothing else decides the order of the calls. */
function diceOf(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
