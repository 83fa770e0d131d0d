// The process dies, and a step fails, after every step of ADD, DEL, release and store; a judge that shares no code with
// the product looks at what is left when everything has settled.
import t from "tap";
import { IPAM_ADD_STEPS, IPAM_DEL_STEPS, IPAM_RELEASE_STEPS, IPAM_STORE_STEPS } from "../../../ipam/steps.ts";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import type { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { installAgent, installCrds, waitFor } from "../../../lab/cluster/install.ts";
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

/** Of the store's steps: which mode takes them in which verb. A claim in a pool that is not adopted yet is exact. */
const STORE: Readonly<Record<(typeof IPAM_STORE_STEPS)[number], { verb: Verb; modes: readonly Mode[] }>> = {
  "store-reservation-created": { verb: "ADD", modes: ["absent", "coexist"] },
  "store-record-written": { verb: "ADD", modes: ["coexist"] },
  "store-record-removed": { verb: "DEL", modes: ["coexist"] },
  "store-reservation-deleted": { verb: "DEL", modes: ["absent", "coexist"] },
};

function scenesOf(mode: Mode): Scene[] {
  const steps = [
    ...IPAM_ADD_STEPS.map((step) => ({ step, verb: "ADD" as const })),
    ...[...IPAM_DEL_STEPS, ...IPAM_RELEASE_STEPS].map((step) => ({ step, verb: "DEL" as const })),
    ...IPAM_STORE_STEPS.filter((step) => STORE[step].modes.includes(mode)).map((step) => ({
      step,
      verb: STORE[step].verb,
    })),
  ];
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
  const before = node.log().length;
  node.faults(`${step} ${action}`);
  const answers = await Promise.all(faulty.map((one) => (verb === "ADD" ? runtime.add(one) : runtime.del(one))));
  const isDead = () => node.agent!.ended;
  // DEL answers before the release is done, so the agent may die a moment later.
  if (way === "agent") await waitFor(`${step} is met`, () => isDead() || node.log().slice(before).includes(`after ${step}: injected`) || answers.some(isInjected)).catch(() => {}); // biome-ignore format: one line
  const met = isDead() || answers.some((one) => one.exit === null || isInjected(one)) || node.log().slice(before).includes(`after ${step}: injected`); // biome-ignore format: one line
  node.faults();
  if (isDead()) await runtime.start(node);
  await goOn(verb, ended, again, lost);
  return { met: met || (way === "alone" && verb === "DEL" && action === "fail"), wrong: await runtime.wrong(network) };
}

const isInjected = ({ json }: { json: { msg?: string } | undefined }) => !!json?.msg?.includes("injected fault");

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
  await waitFor(`the pool of ${network} is adopted`, async () => {
    const pools = await api.raw.list("/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools");
    return pools.some(({ metadata }) => metadata.name.startsWith(`${network}-`) && metadata.annotations?.["railnet.io/adopted"]); // biome-ignore format: one line
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
    await leader.stop();
    await runtime.start(leader);
    for (const node of nodes) {
      await node.stop();
      await runtime.start(node);
    }
    const scenes = scenesOf(mode);
    const outcomes = inLanes(scenes, LANES, (scene, lane) => play(scene, nodes[lane]!));
    for (const [at, { way, verb, step, action }] of scenes.entries())
      t.test(`${verb}, ${way}: ${action} after ${step}`, async (t) => {
        const { met, wrong } = await outcomes[at]!;
        t.ok(met, "the step was reached");
        t.same(wrong, []);
      });
  });
