// Every request of an ADD and of a DEL by an agent fails in every way, one at a time: a clean run shows which there are, and
// whether one is missed; then each is met in turn. A judge that shares no code with the product looks at what is left.
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import type { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { type Effect, FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { setMode } from "../addresses/support/world.ts";
import { configOf, inLanes, Runtime } from "./support/runtime.ts";

t.setTimeout(600_000);
const LANES = 4;
const EFFECTS: readonly Effect[] = [
  { kind: "answer", status: 409 },
  { kind: "answer", status: 422 },
  { kind: "answer", status: 429, retryAfter: 1 },
  { kind: "answer", status: 500 },
  { kind: "answer", status: 500, when: "after" },
  { kind: "answer", status: 504, when: "after" },
  { kind: "cut" },
  { kind: "cut", when: "after" },
];
const GROUP = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";
/** What an ADD or DEL may ask for; not the agent's watches. */
const CALLS = /\/(ippools|overlappingrangeipreservations|leases\/whereabouts)(?!.*watch=)/;
const ELECTION = /\/leases(\/railnet-leader)?$/;
/** Which pools there are: asked by who makes a network's first pool; beside Whereabouts by all, who remember it for half a minute. */
const LIST = "GET ippools?limit=500&resourceVersion=0";
/** What they ask for, in this order. */
const STEPS = {
  absent: {
    ADD: ["GET ippools/POOL", LIST, "POST ippools", "POST overlappingrangeipreservations"],
    DEL: ["GET overlappingrangeipreservations/IP", "DELETE overlappingrangeipreservations/IP"],
  },
  coexist: {
    ADD: [
      "GET ippools/POOL",
      "POST ippools",
      "POST overlappingrangeipreservations",
      "GET leases/whereabouts",
      "PATCH ippools/POOL",
    ],
    DEL: [
      "GET leases/whereabouts",
      "PATCH ippools/POOL",
      "GET overlappingrangeipreservations/IP",
      "DELETE overlappingrangeipreservations/IP",
    ],
  },
} as const;

interface Lane {
  readonly proxy: FaultProxy;
  readonly node: ClusterNode;
}
type Mode = "absent" | "coexist";
type Verb = "ADD" | "DEL";
interface Scene {
  readonly verb: Verb;
  /** Which of its requests. */
  readonly step: string;
  readonly effect: Effect;
}

const api = await ApiServer.start();
const runtime = new Runtime(api);
const proxies: FaultProxy[] = [];
t.teardown(async () => {
  await runtime.stop();
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  await api.stop();
});
await installCrds(api.raw);
const token = await installAgent(api);
const leader = await runtime.node("node-leader", { kubeconfig: api.kubeconfig({ token }) });
for (let lane = 0; lane < LANES; lane++) proxies.push(await FaultProxy.start(api, lane));

/** Nodes on which nothing has happened yet, so that no agent asks for what it finds in its journal; none of them ever leads. */
async function newLanes(mode: Mode): Promise<Lane[]> {
  const lanes: Lane[] = [];
  for (const [i, proxy] of proxies.entries()) {
    for (const method of ["POST", "PUT"]) proxy.on({ effect: { kind: "answer", status: 409 }, method, path: ELECTION });
    const node = await runtime.node(`${mode}-${i}`, { kubeconfig: api.kubeconfig({ token, server: proxy.url }) });
    await runtime.start(node);
    lanes.push({ proxy, node });
  }
  return lanes;
}

let networks = 0;
const newNetwork = (mode: Mode) => {
  const network = `${mode}${networks}`;
  return { network, config: configOf(network, `10.${Math.floor(networks / 256)}.${networks++ % 256}.0/24`) };
};

/** A request, without what is another in each network. */
const stepOf = (method: string, url: string, network: string): string =>
  `${method} ${url.replace(/^.*\/(?=leases\/)/, "").replace(`${GROUP}/`, "")}`
    .replace(new RegExp(`(?<=ippools/)${network}-.*`), "POOL")
    .replace(new RegExp(`(?<=reservations/)${network}-[^?]*`), "IP");

/** What each asks for, when nothing fails. */
async function clean(mode: Mode, { proxy, node }: Lane): Promise<Record<Verb, string[]>> {
  const { network, config } = newNetwork(mode);
  const steps: Record<Verb, string[]> = { ADD: [], DEL: [] };
  let verb: Verb = "ADD";
  const onHit = (method: string, url: string) => void steps[verb].push(stepOf(method, url, network));
  const undo = proxy.on({ effect: { kind: "slow", ms: 0 }, path: CALLS, onHit });
  const sandbox = await runtime.sandbox(node, "agent", network, config);
  await runtime.add(sandbox);
  verb = "DEL";
  await runtime.end(sandbox);
  if ((await runtime.wrong(network)).length > 0) throw new Error("a clean run leaves something");
  undo();
  return steps;
}

/** The same twice in a row: what an agent does besides, most of all in its first seconds, comes by now and then. */
async function cleanAtRest(mode: Mode, lane: Lane): Promise<Record<Verb, string[]>> {
  for (let before = "", tries = 0; ; tries++) {
    const steps = await clean(mode, lane);
    const text = JSON.stringify(steps);
    if (text === before || tries === 20) return steps;
    before = text;
  }
}

const isOf = (mode: Mode, verb: Verb, step: string): boolean => (STEPS[mode][verb] as readonly string[]).includes(step);

/** An agent that remembers nothing. */
async function startAnew(node: ClusterNode): Promise<void> {
  await node.stop();
  await runtime.start(node);
}

interface Outcome {
  readonly met: boolean;
  /** Of a failed ADD. */
  readonly said: string | undefined;
  /** DELs until one was acknowledged. */
  readonly dels: number;
  readonly wrong: readonly string[];
}

async function play(mode: Mode, { verb, step, effect }: Scene, { proxy, node }: Lane): Promise<Outcome> {
  const { network, config } = newNetwork(mode);
  const sandbox = await runtime.sandbox(node, "agent", network, config);
  if (verb === "DEL") await runtime.add(sandbox);
  if (step === LIST && !isOf(mode, verb, LIST)) await startAnew(node);
  let met = false;
  const onHit = () => {
    met = true;
  };
  const isIt = (method: string, url: string) => stepOf(method, url, network) === step;
  const undo = proxy.on({ effect, path: CALLS, isIt, times: 1, onHit });
  const answer = verb === "ADD" ? await runtime.add(sandbox) : undefined;
  if (verb === "ADD") undo();
  const dels = answer?.exit === 0 ? 0 : await runtime.end(sandbox);
  const next = await runtime.sandbox(node, "agent", network, config);
  if (verb === "ADD" && (await runtime.add(next)).exit !== 0) throw new Error("the next ADD failed without a fault");
  const wrong = await runtime.wrong(network);
  undo();
  return {
    met,
    said: answer?.exit ? `${answer.json?.msg} ${answer.json?.details ?? ""}` : undefined,
    dels,
    wrong,
  };
}

for (const mode of ["absent", "coexist"] as const)
  t.test(`beside ${mode} Whereabouts`, async (t) => {
    await setMode(api.raw, mode);
    for (const node of runtime.nodes) await node.stop();
    await runtime.start(leader);
    await runtime.leads(leader);
    const lanes = await newLanes(mode);
    const { ADD } = await clean(mode, lanes[0]!);
    t.equal(ADD.filter((step) => step === LIST).length, 1, "its list is asked for once");
    t.same(await cleanAtRest(mode, lanes[0]!), STEPS[mode]);
    const of = (verb: Verb, steps: readonly string[]) =>
      steps.flatMap((step) => EFFECTS.map((effect) => ({ verb, step, effect })));
    const lists = isOf(mode, "ADD", LIST) ? [] : [LIST];
    const scenes = [...of("ADD", STEPS[mode].ADD), ...of("DEL", STEPS[mode].DEL), ...of("ADD", lists)];
    const outcomes = inLanes(scenes, LANES, (scene, lane) => play(mode, scene, lanes[lane]!));
    for (const [at, { verb, step, effect }] of scenes.entries())
      t.test(`${verb}, ${step}: ${Object.values(effect).join(" ")}`, async (t) => {
        const { met, said, dels, wrong } = await outcomes[at]!;
        t.ok(met, "the request came by");
        if (said !== undefined) t.match(said, /cannot .*(by the fault proxy|at https:)/);
        t.ok(dels <= 1, "DEL is acknowledged at once");
        t.same(wrong, []);
      });
  });
