import type { Test } from "tap";
import { ADD_STEPS, DEL_STEPS, type Step } from "../../../../cni/steps.ts";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { codes, failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

const KILLED = 128 + 9;
const PODS = ["pod0", "pod1", "pod2"];

/** Kills the executable, then the agent, after every step of ADD and of DEL, and puts right what is left in all the ways there are. */
export async function killTests(t: Test, node: Node): Promise<void> {
  const scene = {
    node,
    isAtRest: await takeRest(node),
    wanted: PODS.map((pod, rail): Wanted => ({ pod, vf: node.vf(rail, 0) })),
    next: { pod: "other", vf: node.vf(1, 0) },
  };
  await node.ask([...PODS, "other"].map((pod) => `ip netns add ${pod}`).join("\n"));
  await node.startAgent();
  for (const step of ADD_STEPS)
    await t.test(`ADD killed after ${step} is put right by DEL, by the next ADD and by the same ADD again`, (t) =>
      addKilled(t, step, scene),
    );
  for (const step of DEL_STEPS)
    await t.test(`DEL killed after ${step} is put right by DEL, by the next ADD and without the namespace`, (t) =>
      delKilled(t, step, scene),
    );
  for (const step of [...ADD_STEPS, ...DEL_STEPS])
    await t.test(`agent killed after ${step} leaves nothing that its successor does not put right`, (t) =>
      agentKilled(t, step, scene),
    );
  await node.ask([...PODS, "other"].map((pod) => `ip netns del ${pod}`).join("\n"));
}

interface Scene {
  readonly node: Node;
  readonly isAtRest: Awaited<ReturnType<typeof takeRest>>;
  /** One VF a rail, one pod each. */
  readonly wanted: readonly Wanted[];
  /** Somebody else who wants the second of these VFs. */
  readonly next: Wanted;
}

/** By the stand-alone executable; it is killed. */
const killed = async ({ node, wanted }: Scene, verb: "ADD" | "DEL", step: Step): Promise<number[]> => {
  await node.setFaults(`${step} kill`);
  const replies = await Promise.all(wanted.map((who) => node.cni("stand-alone", cniCall(verb, who), { faulty: true })));
  await node.setFaults();
  return replies.map(({ exit }) => exit);
};

async function addKilled(t: Test, step: Step, scene: Scene): Promise<void> {
  const { wanted, next } = scene;
  t.same(await killed(scene, "ADD", step), [KILLED, KILLED, KILLED], "all are killed");
  const [[del], [takeover], [again]] = await Promise.all([
    shim(scene.node, "DEL", [wanted[0]!]),
    shim(scene.node, "ADD", [next]),
    shim(scene.node, "ADD", [wanted[2]!]),
  ]);
  const isDone = step === "add-committed";
  t.same(codes(del!, takeover!, again!), isDone ? [0, 102, 102] : [0, 0, 0], "DEL, next ADD, ADD again");
  t.same(failures(await shim(scene.node, "DEL", [...wanted, next])), [], "DEL of all");
  await scene.isAtRest(t, "after all");
}

async function delKilled(t: Test, step: Step, scene: Scene): Promise<void> {
  const { node, wanted, next } = scene;
  t.same(failures(await shim(scene.node, "ADD", wanted)), [], "ADD");
  t.same(await killed(scene, "DEL", step), [KILLED, KILLED, KILLED], "all are killed");
  await node.ask("ip netns del pod2; ip netns add pod2; sleep 0.3");
  const [[del], [takeover], [late]] = await Promise.all([
    shim(scene.node, "DEL", [wanted[0]!]),
    shim(scene.node, "ADD", [next]),
    shim(scene.node, "DEL", [wanted[2]!]),
  ]);
  const isStillThere = step === "del-locked"; // from its first change on a DEL has begun
  t.same(codes(del!, takeover!, late!), [0, isStillThere ? 102 : 0, 0], "DEL, next ADD, DEL without the namespace");
  t.same(failures(await shim(scene.node, "DEL", [...wanted, next])), [], "DEL of all");
  await scene.isAtRest(t, "after all");
}

/** The next agent's reconciler ends what an ADD left; what a DEL left, the full executable has ended before. */
async function agentKilled(t: Test, step: Step, scene: Scene): Promise<void> {
  const { node } = scene;
  const one = scene.wanted.slice(0, 1);
  const verb = step.startsWith("add") ? "ADD" : "DEL";
  if (verb === "DEL") t.same(failures(await shim(node, "ADD", one)), [], "ADD");
  await node.setFaults(`${step} kill`);
  const replies = await shim(node, verb, one);
  t.same(
    codes(...replies),
    [verb === "ADD" ? 11 : 0],
    "the runtime is told to try ADD again; DEL is done all the same",
  );
  await node.killAgent();
  await node.setFaults();
  await node.startAgent();
  const isDone = step === "add-committed";
  if (!isDone) await scene.isAtRest(t, "when the next agent runs");
  t.same(failures(await shim(node, "DEL", one)), [], "DEL");
  if (isDone) await scene.isAtRest(t, "after DEL");
}
