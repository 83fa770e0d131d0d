import type { Test } from "tap";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

/**
 * Pods whose namespace ends before DEL: their VFs fall back to the host under the pod's names, or, where names clash, as
 * `dev19` and the like.
 */
export async function netnsTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  const own = [0, 1].map((rail): Wanted => ({ pod: `own${rail}`, vf: node.vf(rail, 1) }));
  const together = [0, 1].map((rail): Wanted => ({ pod: "all", ifname: `net${rail + 1}`, vf: node.vf(rail, 2) }));
  const wanted = [...own, ...together];
  const pods = [...new Set(wanted.map(({ pod }) => pod))];
  const begin = async (t: Test) => {
    await node.ask(pods.map((pod) => `ip netns add ${pod}`).join("\n"));
    t.same(failures(await shim(node, "ADD", wanted)), [], "four VFs are attached");
  };
  const end = (names = pods) =>
    node.ask(`${names.map((pod) => `ip netns del ${pod}`).join("\n")}
      for ((i = 0; i < 200; i++)); do [ "$(cd /sys/class/net; echo *)" = "\${home:=}" ] && break; home=$(cd /sys/class/net; echo *); sleep 0.2; done`);
  const del = (who: readonly Wanted[], netns?: string) =>
    Promise.all(who.map((w) => node.cni("shim", cniCall("DEL", w, netns === undefined ? {} : { netns }))));

  await node.startAgent();
  await t.test("DEL restores VFs that fell back, with CNI_NETNS and without", async (t) => {
    await begin(t);
    await end();
    const names = await node.ask("cd /sys/class/net; echo net[0-9]* dev[0-9]*");
    t.match(names, /net1.*dev\d+/, "they have fallen back under the pods' names, and where these clash, as devN");
    t.same(failures([...(await del(own)), ...(await del(together, ""))]), [], "DEL");
    await isAtRest(t, "after DEL");
  });

  await t.test(
    "reconcile restores VFs that fell back, and releases their addresses; a late DEL has nothing to do",
    async (t) => {
      await begin(t);
      await end();
      t.equal((await node.reconcile()).match(/its network namespace is gone: ended/g)?.length, 4, "four are ended");
      await isAtRest(t, "after the reconciler");
      t.same(failures(await del(wanted, "")), [], "late DEL");
      await isAtRest(t, "after the late DEL");
    },
  );

  await t.test("ADD takes a VF that fell back; a late DEL of its old owner does not touch it", async (t) => {
    await begin(t);
    await end();
    await node.ask("ip netns add new");
    const next = wanted.map(({ vf }, i): Wanted => ({ pod: "new", ifname: `rail${i}`, vf }));
    t.same(failures(await shim(node, "ADD", next)), [], "the next ADD of all");
    const before = await node.steady("ip -n new -d -j addr; ip -d -j link");
    t.same(failures([...(await del(own)), ...(await del(together, ""))]), [], "late DEL");
    t.same(await node.steady("ip -n new -d -j addr; ip -d -j link"), before, "the new owner's VFs are as they were");
    t.same(failures(await shim(node, "DEL", next)), [], "DEL of the new owner");
    await node.ask("ip netns del new");
    await isAtRest(t, "after all");
  });

  await t.test("the agent by itself restores VFs whose namespaces end", async (t) => {
    await begin(t);
    await node.killAgent();
    await node.startAgent({ watches: true });
    await end();
    await node.ask(
      'for ((i = 0; i < 100; i++)); do [ -n "$(ls /var/lib/railnet/attachments)" ] || exit 0; sleep 0.1; done',
    );
    await isAtRest(t, "some seconds later");
    await node.killAgent();
  });
}
