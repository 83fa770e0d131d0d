// Every request of an ADD and of a DEL by an agent fails in every way, one at a time: the calls are counted in a clean run,
// then each is met in turn. A judge that shares no code with the product looks at what is left.
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
/** What every ADD or DEL asks for; not the agent's watches. */
const CALLS = /\/(ippools|overlappingrangeipreservations)(?!.*(watch=|resourceVersion=0))/;
/** Which pools there are: asked by who makes a network's first pool; beside Whereabouts by all, who remember it for half a minute. */
const LIST = /\/ippools\?.*resourceVersion=0(?!.*watch=)/;

interface Lane {
  readonly proxy: FaultProxy;
  readonly node: ClusterNode;
}
type Mode = "absent" | "coexist";
type Verb = "ADD" | "DEL";
interface Scene {
  readonly verb: Verb;
  /** Which of its requests: the nth of these, from 1. */
  readonly path: RegExp;
  readonly nth: number;
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

/** Nodes on which nothing has happened yet, so that no agent asks for what it finds in its journal. */
async function newLanes(mode: Mode): Promise<Lane[]> {
  const lanes: Lane[] = [];
  for (const [i, proxy] of proxies.entries()) {
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

/** How many of these requests each takes, when nothing fails. */
async function clean(mode: Mode, { proxy, node }: Lane, path: RegExp): Promise<Record<Verb, number>> {
  const { network, config } = newNetwork(mode);
  const undo = proxy.on({ effect: { kind: "slow", ms: 0 }, path });
  const begin = proxy.hits;
  const sandbox = await runtime.sandbox(node, "agent", network, config);
  await runtime.add(sandbox);
  const between = proxy.hits;
  await runtime.end(sandbox);
  if ((await runtime.wrong(network)).length > 0) throw new Error("a clean run leaves something");
  undo();
  return { ADD: between - begin, DEL: proxy.hits - between };
}

/** Of runs until the fewest was seen twice: what an agent does besides, most of all in its first seconds, comes by now and then. */
async function fewest(mode: Mode, lane: Lane, path: RegExp): Promise<Record<Verb, number>> {
  const runs: Record<Verb, number>[] = [];
  const of = (verb: Verb) => Math.min(...runs.map((run) => run[verb]));
  const isTwice = (verb: Verb) => runs.filter((run) => run[verb] === of(verb)).length >= 2;
  while (runs.length < 3 || (runs.length < 12 && !(isTwice("ADD") && isTwice("DEL"))))
    runs.push(await clean(mode, lane, path));
  return { ADD: of("ADD"), DEL: of("DEL") };
}

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

async function play(mode: Mode, { verb, path, nth, effect }: Scene, { proxy, node }: Lane): Promise<Outcome> {
  const { network, config } = newNetwork(mode);
  const sandbox = await runtime.sandbox(node, "agent", network, config);
  if (verb === "DEL") await runtime.add(sandbox);
  if (path === LIST) await startAnew(node);
  const before = proxy.hits;
  const undo = proxy.on({ effect, path, nth });
  const answer = verb === "ADD" ? await runtime.add(sandbox) : undefined;
  if (verb === "ADD") undo();
  const dels = answer?.exit === 0 ? 0 : await runtime.end(sandbox);
  const next = await runtime.sandbox(node, "agent", network, config);
  if (verb === "ADD" && (await runtime.add(next)).exit !== 0) throw new Error("the next ADD failed without a fault");
  const wrong = await runtime.wrong(network);
  undo();
  return {
    met: proxy.hits > before,
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
    const lanes = await newLanes(mode);
    const lists = await clean(mode, lanes[0]!, LIST);
    const calls = await fewest(mode, lanes[0]!, CALLS);
    t.same(lists, { ADD: 1, DEL: 0 });
    t.ok(calls.ADD >= 3 && calls.DEL >= 2, `an ADD is ${calls.ADD} more requests, a DEL ${calls.DEL}`);
    const of = (verb: Verb, path: RegExp, count: number) =>
      Array.from({ length: count }, (_, i) => EFFECTS.map((effect) => ({ verb, path, nth: i + 1, effect }))).flat();
    const scenes = [...of("ADD", CALLS, calls.ADD), ...of("DEL", CALLS, calls.DEL), ...of("ADD", LIST, lists.ADD)];
    const outcomes = inLanes(scenes, LANES, (scene, lane) => play(mode, scene, lanes[lane]!));
    for (const [at, { verb, path, nth, effect }] of scenes.entries())
      t.test(
        `${verb}, ${path === LIST ? "its list" : `request ${nth}`}: ${Object.values(effect).join(" ")}`,
        async (t) => {
          const { met, said, dels, wrong } = await outcomes[at]!;
          t.ok(met, "the request came by");
          if (said !== undefined) t.match(said, /cannot .*(by the fault proxy|at https:)/);
          t.ok(dels <= 1, "DEL is acknowledged at once");
          t.same(wrong, []);
        },
      );
  });
