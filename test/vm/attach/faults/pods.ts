import type { Test } from "tap";
import type { Wanted } from "../support/attachment.ts";
import { failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

const RAILS = [0, 1, 2, 3];

/** Waits, and prints the addresses that did not pass. */
const SETTLED = `
  left() { for pod in pod-a pod-b; do ip -n $pod -o -6 addr show tentative; done; }
  for ((i = 0; i < 100; i++)); do [ -n "$(left)" ] || exit 0; sleep 0.1; done; left`;

/** The main job: two pods with a VF on every rail each. */
export async function podTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  await node.startAgent();
  const wanted = ["pod-a", "pod-b"].flatMap((pod, i) =>
    RAILS.map((rail): Wanted => {
      const addresses = [`192.168.${rail}.${11 + i}/24`, `fd00:${rail}::${11 + i}/64`];
      const ipam = { type: "static", addresses: addresses.map((address) => ({ address })) };
      const settings = {
        rail,
        mac: `02:00:00:00:1${rail}:0${i}`,
        trust: "on",
        vlan: 200 + rail,
        sourceRules: true,
        ipam,
      };
      return { pod, ifname: `net${rail + 1}`, vf: node.vf(rail, i), settings };
    }),
  );
  await t.test(
    "ADD gives four VFs to each of two pods, and every rail carries packets from pod to pod and no other",
    async (t) => {
      await node.ask("ip netns add pod-a; ip netns add pod-b");
      const added = await shim(node, "ADD", wanted);
      t.same(failures(added), [], "ADD of eight at once");
      t.equal(await node.ask(SETTLED), "", "every IPv6 address has passed its duplicate address detection");
      for (const rail of RAILS) {
        const ping = (what: string) => node.machine.sh(`ip netns exec pod-a ping -q -c 2 -i 0.2 -W 2 ${what}`);
        t.equal((await ping(`192.168.${rail}.12`)).exit, 0, `rail${rail}`);
        t.equal((await ping(`fd00:${rail}::12`)).exit, 0, `rail${rail}, IPv6`);
        const neighbour = await node.ask(`ip -n pod-a neigh show 192.168.${rail}.12`);
        t.match(
          neighbour,
          `dev net${rail + 1} lladdr 02:00:00:00:1${rail}:01 `,
          "its neighbour is the VF of the same rail",
        );
      }
      const check = wanted.map((w, i) => ({ ...w, settings: { ...w.settings, prevResult: added[i]!.json } }));
      t.same(failures(await shim(node, "CHECK", check)), [], "CHECK");
      t.same(failures(await shim(node, "DEL", wanted)), [], "DEL of eight at once");
      t.equal(
        await node.ask("ip -n pod-a rule; ip -n pod-b rule").then((text) => text.includes("192.168.")),
        false,
        "no rule is left",
      );
      await node.ask("ip netns del pod-a; ip netns del pod-b");
      await isAtRest(t, "after all");
    },
  );
}
