import type { Test } from "tap";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

const RAIL = 1;

/** A reboot as the journal sees it: another boot ID, no namespaces, VFs made anew with other MACs and nothing set. */
export async function rebootTests(t: Test, node: Node): Promise<void> {
  const old = [0, 1, 2, 3].map((index): Wanted => ({ pod: `old${index}`, vf: node.vf(RAIL, index) }));
  await node.startAgent();
  await t.test(
    "after a reboot, DEL of old sandboxes, ADD of new ones and the reconciler come in any order",
    async (t) => {
      await node.ask(old.map(({ pod }) => `ip netns add ${pod}`).join("\n"));
      t.same(failures(await shim(node, "ADD", old)), [], "ADD of four");
      await node.killAgent();
      await node.ask(
        `ip -all netns del; cat /proc/sys/kernel/random/uuid > /run/boot_id; mount --bind /run/boot_id /proc/sys/kernel/random/boot_id`,
      );
      await node.remakeVfs(RAIL);
      const isAtRest = await takeRest(node);
      const alone = (verb: string, who: Wanted, netns?: string) =>
        node.cni("stand-alone", cniCall(verb, who, netns === undefined ? {} : { netns }));

      await node.ask("ip netns add new1; ip netns add new2");
      const next = [1, 2].map((index): Wanted => ({ pod: `new${index}`, vf: node.vf(RAIL, index) }));
      const added = [await alone("ADD", next[0]!)];
      const deleted = [await alone("DEL", old[0]!, ""), await alone("DEL", old[1]!, ""), await alone("DEL", old[1]!)];
      t.same(
        failures([...added, ...deleted]),
        [],
        "ADD of a new sandbox, then DEL of old ones without and with CNI_NETNS",
      );
      const before = await node.steady("ip -n new1 -d -j addr; ip -d -j link show rail1");
      await node.startAgent();
      t.equal(
        await node.steady("ip -n new1 -d -j addr; ip -d -j link show rail1"),
        before,
        "DEL and the agent do not touch it",
      );
      t.same((await node.journal()).length, 1, "the agent has ended what the reboot ended");
      added.push(...(await shim(node, "ADD", [next[1]!])));
      t.same(failures(added), [], "ADD through the agent");
      t.same(failures(await shim(node, "DEL", [...next, ...old])), [], "DEL of all");
      await node.ask("ip -all netns del");
      await isAtRest(t, "after all");
    },
  );
  await node.killAgent();
  await node.ask("umount /proc/sys/kernel/random/boot_id");
}
