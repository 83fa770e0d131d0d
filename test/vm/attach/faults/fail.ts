import type { Test } from "tap";
import { ADD_STEPS, DEL_STEPS } from "../../../../cni/steps.ts";
import type { Wanted } from "../support/attachment.ts";
import { codes, failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

/** Every step of ADD and of DEL fails once, with the process alive. */
export async function failTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  const wanted: Wanted[] = [0, 1].map((rail) => ({ pod: `pod${rail}`, vf: node.vf(rail, 0) }));
  await node.ask(wanted.map(({ pod }) => `ip netns add ${pod}`).join("\n"));
  await node.startAgent();

  // After the last step there is nothing left that could fail.
  for (const step of ADD_STEPS.filter((step) => step !== "add-committed"))
    await t.test(`ADD that fails after ${step} leaves nothing behind, without a DEL`, async (t) => {
      await node.setFaults(`${step} fail`);
      t.same(codes(...(await shim(node, "ADD", wanted))), [100, 100], "ADD");
      await node.setFaults();
      await isAtRest(t, "at once");
    });

  for (const step of DEL_STEPS)
    await t.test(`DEL that fails after ${step} says so, and the next one ends it`, async (t) => {
      t.same(failures(await shim(node, "ADD", wanted)), [], "ADD");
      await node.setFaults(`${step} fail`);
      t.same(codes(...(await shim(node, "DEL", wanted))), [100, 100], "DEL");
      await node.setFaults();
      t.same(failures(await shim(node, "DEL", wanted)), [], "DEL again");
      await isAtRest(t, "then");
    });
  await node.ask(wanted.map(({ pod }) => `ip netns del ${pod}`).join("\n"));
}
