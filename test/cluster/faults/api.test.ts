// Every request of an ADD and of a DEL by an agent fails in every way, one at a time: the calls are counted in a clean run,
// then each is met in turn. A judge that shares no code with the product looks at what is left.
import t from "tap";
import { setMode } from "../addresses/support/world.ts";
import { ApiServer } from "../support/api-server.ts";
import type { ClusterNode } from "../support/cluster-node.ts";
import { type Effect, FaultProxy } from "../support/fault-proxy.ts";
import { installAgent, installCrds } from "../support/install.ts";
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
/** What an ADD or DEL asks for; not the agent's watches. */
const CALLS = /\/(ippools|overlappingrangeipreservations)(?!.*watch=)/;
const COUNTED = / (ippools|overlappingrangeipreservations)$/;

interface Lane {
  readonly proxy: FaultProxy;
  readonly node: ClusterNode;
}
type Mode = "absent" | "coexist";
type Verb = "ADD" | "DEL";
interface Scene {
  readonly verb: Verb;
  /** Which of its requests, from 1. */
  readonly nth: number;
  readonly effect: Effect;
}

const api = await ApiServer.start();
const runtime = new Runtime(api);
const lanes: Lane[] = [];
t.teardown(async () => {
  await runtime.stop();
  await Promise.all(lanes.map(({ proxy }) => proxy.stop()));
  await api.stop();
});
await installCrds(api.raw);
const token = await installAgent(api);
const leader = await runtime.node("node-leader", { kubeconfig: api.kubeconfig({ token }) });
for (let lane = 0; lane < LANES; lane++) {
  const proxy = await FaultProxy.start(api, lane);
  const node = await runtime.node(`node-${lane}`, { kubeconfig: api.kubeconfig({ token, server: proxy.url }) });
  lanes.push({ proxy, node });
}

let networks = 0;
const newNetwork = (mode: Mode) => {
  const network = `${mode}${networks}`;
  return { network, config: configOf(network, `10.${Math.floor(networks / 256)}.${networks++ % 256}.0/24`) };
};

/** How many requests each takes, when nothing fails. */
async function clean(mode: Mode, { proxy, node }: Lane): Promise<Record<Verb, number>> {
  const { network, config } = newNetwork(mode);
  const begin = proxy.counted(COUNTED);
  const sandbox = await runtime.sandbox(node, "agent", network, config);
  await runtime.add(sandbox);
  const between = proxy.counted(COUNTED);
  await runtime.end(sandbox);
  if ((await runtime.wrong(network)).length > 0) throw new Error("a clean run leaves something");
  return { ADD: between - begin, DEL: proxy.counted(COUNTED) - between };
}

interface Outcome {
  readonly met: boolean;
  /** Of a failed ADD. */
  readonly said: string | undefined;
  /** DELs until one was acknowledged. */
  readonly dels: number;
  readonly wrong: readonly string[];
}

async function play(mode: Mode, { verb, nth, effect }: Scene, { proxy, node }: Lane): Promise<Outcome> {
  const { network, config } = newNetwork(mode);
  const sandbox = await runtime.sandbox(node, "agent", network, config);
  if (verb === "DEL") await runtime.add(sandbox);
  const before = proxy.hits;
  const undo = proxy.on({ effect, path: CALLS, nth });
  const answer = verb === "ADD" ? await runtime.add(sandbox) : undefined;
  if (verb === "ADD") undo();
  const dels = answer?.exit === 0 ? 0 : await runtime.end(sandbox);
  const next = await runtime.sandbox(node, "agent", network, config);
  if (verb === "ADD" && (await runtime.add(next)).exit !== 0) throw new Error("the next ADD failed without a fault");
  const wrong = await runtime.wrong(network);
  undo();
  return { met: proxy.hits > before, said: answer?.exit ? `${answer.json?.msg} ${answer.json?.details ?? ""}` : undefined, dels, wrong }; // biome-ignore format: one record
}

for (const mode of ["absent", "coexist"] as const)
  t.test(`beside ${mode} Whereabouts`, async (t) => {
    await setMode(api.raw, mode);
    for (const node of runtime.nodes) await node.stop();
    await runtime.start(leader);
    for (const { node } of lanes) await runtime.start(node);
    await clean(mode, lanes[0]!); // what an agent asks for once
    const calls = await clean(mode, lanes[0]!);
    t.ok(calls.ADD >= 3 && calls.DEL >= 2, `an ADD is ${calls.ADD} requests, a DEL ${calls.DEL}`);
    const scenes = (["ADD", "DEL"] as const).flatMap((verb) =>
      Array.from({ length: calls[verb] }, (_, i) => EFFECTS.map((effect) => ({ verb, nth: i + 1, effect }))).flat(),
    );
    const outcomes = inLanes(scenes, LANES, (scene, lane) => play(mode, scene, lanes[lane]!));
    for (const [at, { verb, nth, effect }] of scenes.entries())
      t.test(`${verb}, request ${nth}: ${Object.values(effect).join(" ")}`, async (t) => {
        const { said, dels, wrong } = await outcomes[at]!;
        if (said !== undefined) t.match(said, /cannot .*(by the fault proxy|at https:)/);
        t.ok(dels <= 1, "DEL is acknowledged at once");
        t.same(wrong, []);
      });
    t.test("the requests came by", async (t) => {
      // An agent remembers for some seconds which pools there are and which are adopted: an ADD has fewer requests then.
      const met = (await Promise.all(outcomes)).filter((outcome) => outcome.met).length;
      t.ok(met >= scenes.length / 2, `${met} of ${scenes.length}`);
    });
  });
