// The process dies, and a step fails, after every step of ADD, DEL, release and store; a judge that shares no code with
// the product looks at what is left when everything has settled.
import { existsSync, readFileSync, rmSync } from "node:fs";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import type { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { until } from "../../../lab/until.ts";
import { configOf, inLanes, type PodSandbox, Runtime, type Way } from "./support/runtime.ts";

t.setTimeout(600_000);
const api = await ApiServer.start();
const runtime = new Runtime(api);
t.teardown(async () => {
  await runtime.stop();
  await api.stop();
});
await installCrds(api.raw);
const kubeconfig = api.kubeconfig({ token: await installAgent(api) });
const LANES = 6;

type Mode = "absent" | "coexist";
type Verb = "ADD" | "DEL";
interface Scene {
  readonly mode: Mode;
  readonly way: Way;
  readonly verb: Verb;
  readonly step: string;
  readonly action: "kill" | "fail";
}

/** What an executable does, in order. It stands here too: a step that the product leaves out is missed. */
const STEPS: Readonly<Record<Mode, Readonly<Record<Verb, readonly string[]>>>> = {
  absent: {
    ADD: ["ipam-add-locked", "ipam-add-candidate-journalled", "store-reservation-created", "ipam-add-claimed", "ipam-add-held"],
    DEL: ["ipam-del-locked", "ipam-del-journalled", "store-reservation-deleted", "ipam-release-claim-released", "ipam-release-forgotten"],
  },
  coexist: {
    ADD: ["ipam-add-locked", "ipam-add-candidate-journalled", "store-reservation-created", "store-record-written", "ipam-add-claimed", "ipam-add-held"],
    DEL: ["ipam-del-locked", "ipam-del-journalled", "store-record-removed", "store-reservation-deleted", "ipam-release-claim-released", "ipam-release-forgotten"],
  },
}; // biome-ignore format: rows

function scenesOf(mode: Mode): Scene[] {
  const steps = (["ADD", "DEL"] as const).flatMap((verb) => STEPS[mode][verb].map((step) => ({ step, verb })));
  return (["agent", "alone"] as const).flatMap((way) =>
    steps.flatMap(({ step, verb }) => (["kill", "fail"] as const).map((action) => ({ mode, way, verb, step, action }))),
  );
}

interface Outcome {
  /** The fault happened. */
  readonly met: boolean;
  readonly wrong: readonly string[];
}

let networks = 0;

/**
 * One pod lives through it. Of the others one gets the DEL that a runtime sends after a failure, one is asked for again,
 * and one vanishes without a word.
 */
async function play({ mode, way, verb, step, action }: Scene, node: ClusterNode): Promise<Outcome> {
  const network = `${mode}${networks}`;
  const config = configOf(network, `10.${Math.floor(networks / 256)}.${networks++ % 256}.0/24`);
  const make = () => runtime.sandbox(node, way, network, config);
  const [living, ended, again, lost] = [await make(), await make(), await make(), await make()];
  if ((await runtime.add(living)).exit !== 0) throw new Error(`ADD failed without a fault: ${node.log().slice(-2000)}`);
  await adopted(mode, network);
  const faulty = [ended, again, lost];
  if (verb === "DEL") for (const one of faulty) await runtime.add(one);
  const trace = traceOf(node);
  node.faults(`trace ${trace.file}`, `${step} ${action}`);
  const answers = await Promise.all(faulty.map((one) => (verb === "ADD" ? runtime.add(one) : runtime.del(one))));
  const isMet = () => trace.read().includes(step);
  // DEL answers before the release is done, so the agent may die a moment later.
  // What a stand-alone DEL leaves, the agent releases.
  if (way === "agent" || verb === "DEL") await until(`${step} is met`, isMet).catch(() => {});
  const met = isMet();
  const isAgents = way === "agent" || answers.every(({ exit }) => exit !== null);
  if (action === "kill" && met && isAgents) await until("the agent is dead", () => node.agent!.ended);
  node.faults();
  if (node.agent!.ended) await runtime.start(node);
  await goOn(verb, ended, again, lost);
  return { met, wrong: await runtime.wrong(network) };
}

/** Where a node's executables write the steps that they take. */
function traceOf(node: ClusterNode): { readonly file: string; read(): string[] } {
  const file = `${node.folder}/steps`;
  rmSync(file, { force: true });
  return { file, read: () => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []) };
}

/** Steps of a whole ADD, and of a whole DEL with its release. */
async function steps(node: ClusterNode, way: Way, mode: Mode): Promise<Record<Verb, string[]>> {
  const network = `${mode}${networks}`;
  const config = configOf(network, `10.${Math.floor(networks / 256)}.${networks++ % 256}.0/24`);
  const [first, one] = [
    await runtime.sandbox(node, way, network, config),
    await runtime.sandbox(node, way, network, config),
  ];
  if ((await runtime.add(first)).exit !== 0) throw new Error("ADD failed without a fault");
  await adopted(mode, network);
  const trace = traceOf(node);
  node.faults(`trace ${trace.file}`);
  await runtime.add(one);
  const added = trace.read();
  await runtime.del(one);
  await until("the release is done", () => trace.read().at(-1) === STEPS[mode].DEL.at(-1)).catch(() => {});
  node.faults();
  await runtime.end(one);
  return { ADD: added, DEL: trace.read().slice(added.length) };
}

async function goOn(verb: Verb, ended: PodSandbox, again: PodSandbox, lost: PodSandbox): Promise<void> {
  await runtime.end(ended);
  if (verb === "DEL") await runtime.end(again);
  else if ((await runtime.add(again)).exit !== 0) throw new Error("a second ADD of the same sandbox failed");
  // Its first DEL may have been lost with the process; then only the namespace tells.
  await runtime.vanish(lost);
}

/** In mode `absent` a stand-alone executable's pools are adopted by the leader, and only then a reservation is all. */
async function adopted(mode: Mode, network: string): Promise<void> {
  if (mode === "coexist") return;
  await until(`the pool of ${network} is adopted`, async () => {
    const pools = await api.raw.list("/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools");
    return pools.some(
      ({ metadata }) => metadata.name.startsWith(`${network}-`) && metadata.annotations?.["railnet.io/adopted"],
    );
  });
}

const leader = await runtime.node("node-leader", { kubeconfig });
const nodes: ClusterNode[] = [];
for (let lane = 0; lane < LANES; lane++) nodes.push(await runtime.node(`node-${lane}`, { kubeconfig }));

for (const mode of ["absent", "coexist"] as const)
  t.test(`beside ${mode} Whereabouts`, async (t) => {
    const settings = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "railnet-config" },
      data: { whereabouts: mode },
    };
    await api.raw.apply(settings);
    for (const node of runtime.nodes) await node.stop();
    await runtime.start(leader);
    await runtime.leads(leader);
    for (const node of nodes) await runtime.start(node);
    for (const way of ["agent", "alone"] as const)
      await t.test(`ADD and DEL take all their steps, in order, ${way}`, async (t) => {
        t.same(await steps(nodes[0]!, way, mode), STEPS[mode]);
      });
    const scenes = scenesOf(mode);
    const outcomes = inLanes(scenes, LANES, (scene, lane) => play(scene, nodes[lane]!));
    for (const [at, { way, verb, step, action }] of scenes.entries())
      t.test(`${verb}, ${way}: ${action} after ${step}`, async (t) => {
        const { met, wrong } = await outcomes[at]!;
        t.ok(met, "the step was reached");
        t.same(wrong, []);
      });
  });
