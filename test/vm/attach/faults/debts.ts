import type { Test } from "tap";
import type { Wanted } from "../support/attachment.ts";
import { failures, type Node, shim, type Vf } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

/** What cannot be restored when a pod ends: a rate without carrier (igb), the link of a VF whose driver was unbound. */
export async function debtTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  const vf = node.vf(3, 2);
  const wanted: Wanted = { pod: "owed", vf };
  const next: Wanted = { pod: "next", vf };
  await node.ask("ip netns add owed; ip netns add next");
  await node.startAgent();

  await t.test(
    "DEL of a VF with a rate ends the pod while the cable is out; at carrier the rate is restored",
    async (t) => {
      t.same(failures(await shim(node, "ADD", [wanted])), [], "ADD");
      await node.machine.monitor(`set_link ${vf.pf} off`);
      await until(node, `[ "$(< /sys/class/net/${vf.pf}/operstate)" = down ]`);
      t.same(failures(await shim(node, "DEL", [wanted])), [], "DEL");
      t.same(await node.journal(), [], "the attachment has ended");
      t.equal(await owed(node), `${vf.pci}.json`, "and the VF is owed something");
      const now = await atPf(node, vf);
      t.match(now, "trust off", "its trust is restored");
      t.notMatch(now, "vlan", "and its VLAN");
      t.match(now, "max_tx_rate 200Mbps", "its rate could not be");
      const [refused] = await shim(node, "ADD", [next]);
      t.match(
        refused!.json,
        { code: 101, msg: /it is not fully restored since .*: PF minTxRate,maxTxRate .*EINVAL/ },
        "the next ADD says so",
      );
      t.match(
        await node.ask("/opt/railnet/bin/railnet doctor || true"),
        new RegExp(`VF ${vf.pci} of .* is given to no pod`),
        "doctor",
      );
      await node.machine.monitor(`set_link ${vf.pf} on`);
      await until(node, `[ -z "$(ls /var/lib/railnet/owed)" ]`);
      await isAtRest(t, "once the cable is back");
    },
  );

  await t.test(
    "DEL of a VF whose driver was unbound under the pod ends the pod; once it is bound the VF is as before",
    async (t) => {
      t.same(failures(await shim(node, "ADD", [wanted])), [], "ADD");
      await node.ask(`echo ${vf.pci} > /sys/bus/pci/drivers/igbvf/unbind`);
      t.same(failures(await shim(node, "DEL", [wanted])), [], "DEL");
      t.same(await node.journal(), [], "the attachment has ended");
      const [refused] = await shim(node, "ADD", [next]);
      t.match(
        refused!.json,
        { code: 101, msg: /it is not fully restored since .*: link .*no driver is bound to it/ },
        "the next ADD says so",
      );
      await node.ask(`echo ${vf.pci} > /sys/bus/pci/drivers/igbvf/bind`);
      await until(node, `[ -z "$(ls /var/lib/railnet/owed)" ]`);
      const [link] = JSON.parse(await node.ask(`ip -j link show ${vf.name}`));
      t.equal(link.address, vf.mac, "name and MAC are as before");
      t.same(failures(await shim(node, "ADD", [next])), [], "the next pod gets it");
      t.same(failures(await shim(node, "DEL", [next])), [], "DEL");
      await node.restoreMac(vf); // what the PF shows of a VF that was bound anew
      await isAtRest(t, "after all");
    },
  );
  await node.ask("ip netns del owed; ip netns del next");
}

const owed = async (node: Node): Promise<string> => (await node.ask("ls /var/lib/railnet/owed")).trim();

/** Waits in the guest. */
const until = (node: Node, condition: string): Promise<string> =>
  node.ask(
    `for ((i = 0; i < 600; i++)); do ${condition} && exit 0; sleep 0.1; done; echo 'not so: ${condition.replaceAll("'", "")}' >&2; exit 1`,
  );

/** As ip(8) prints it. */
const atPf = (node: Node, { pf, index }: Vf): Promise<string> =>
  node.ask(`ip -d link show ${pf} | grep -E '^ +vf ${index} '`);
