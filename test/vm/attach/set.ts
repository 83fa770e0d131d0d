import type { Test } from "tap";
import { cniCall, everySetting, type Wanted } from "./support/attachment.ts";
import { codes, failures, HOWS, type How, type Node, shim } from "./support/node.ts";
import { takeRest } from "./support/picture.ts";

const RAILS = [0, 1, 2, 3];
const KILLED = 128 + 9;

/** A pod on one network of all rails, with something for every setting on each. */
function setOf(node: Node, pod: string, index: number): Wanted {
  const vfs = RAILS.map((rail) => node.vf(rail, index));
  const rails = vfs.map((vf) => ({ name: `net${vf.rail + 2}`, rail: vf.pf, ...everySetting(vf) }));
  return { pod, vf: vfs[0]!, settings: { deviceID: vfs.map(({ pci }) => pci).join(), rails } };
}

/** ADD dies here, and the set is put right like that. */
const DEATHS: readonly [step: string, how: "DEL" | "reconciler" | "ADD"][] = [
  ["add-moved@net3", "reconciler"],
  ["add-moved@net5", "ADD"],
  ["add-configured@net4", "DEL"],
  ["add-attached@net3", "reconciler"],
];

/** One ADD attaches a VF of every rail, or none of them. */
export async function setTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  await node.startAgent();
  const [one, two] = [setOf(node, "set-a", 0), setOf(node, "set-b", 1)];
  const call = (how: How, verb: string, who: Wanted, options = {}) => node.cni(how, cniCall(verb, who, options));
  await node.ask("ip netns add set-a; ip netns add set-b");
  const names = async (pod: string) =>
    (await node.ask(`ip -n ${pod} -br link | cut -d' ' -f1`))
      .split("\n")
      .filter((name) => /^net/.test(name))
      .sort();

  for (const how of HOWS)
    await t.test(`a VF of every rail, with settings of its own (${how})`, async (t) => {
      const [added, other] = [await call(how, "ADD", one), await call(how, "ADD", two)];
      t.same(codes(added, other), [0, 0]);
      t.same(
        added.json.interfaces.map(({ name, pciID }: { name: string; pciID: string }) => `${name} ${pciID}`),
        RAILS.map((rail) => `net${rail + 2} ${node.vf(rail, 0).pci}`),
      );
      t.same(await names("set-a"), ["net2", "net3", "net4", "net5"]);
      const [first] = JSON.parse(await node.ask("ip -j -n set-a link show net1"));
      t.equal(first.ifname, "net2", "the runtime's name finds the first");
      for (const rail of RAILS)
        t.match(
          await node.ask(`ip link show rail${rail}`),
          new RegExp(`vf 0 .*vlan ${100 + rail}, qos 3.*trust on`),
          `rail${rail} at its PF`,
        );
      t.same(codes(await call(how, "CHECK", one, { more: { prevResult: added.json } })), [0], "CHECK");
      t.same(codes(await call(how, "DEL", one), await call(how, "DEL", two)), [0, 0], "DEL");
      await isAtRest(t, "after DEL");
    });

  await t.test("with one VF that cannot be used nothing is attached, and its rail is named", async (t) => {
    const bad = node.vf(2, 0);
    await node.ask(`echo ${bad.pci} > /sys/bus/pci/devices/${bad.pci}/driver/unbind`);
    const reply = await call("shim", "ADD", one);
    t.match(reply, { exit: 1, json: { code: 101, msg: `net4: cannot attach ${bad.pci}: no driver is bound to it` } });
    t.same(await names("set-a"), []);
    t.same(await node.journal(), []);
    await node.ask(`
      echo ${bad.pci} > /sys/bus/pci/drivers/igbvf/bind
      for ((i = 0; i < 250; i++)); do now=$(ls /sys/bus/pci/devices/${bad.pci}/net 2> /dev/null) && [ -n "$now" ] && break; sleep 0.02; done
      [ "$now" = ${bad.name} ] || { ip link set "$now" down; ip link set "$now" name ${bad.name}; }`);
    await node.restoreMac(bad);
    t.same(failures([await call("shim", "DEL", one)]), []);
    await isAtRest(t, "when its driver is bound again");
  });

  await t.test("both pods' namespaces end: all VFs come back, whatever names they fell back under", async (t) => {
    t.same(failures(await shim(node, "ADD", [one, two])), [], "ADD");
    await node.ask(`ip netns del set-a; ip netns del set-b
      for ((i = 0; i < 200; i++)); do [ "$(cd /sys/class/net; echo *)" = "\${home:=}" ] && break; home=$(cd /sys/class/net; echo *); sleep 0.2; done`);
    t.same(failures([await call("shim", "DEL", one, { netns: "" })]), [], "DEL of one");
    t.equal(
      (await node.reconcile()).match(/its network namespace is gone: ended/g)?.length,
      RAILS.length,
      "the reconciler ends the other's",
    );
    await isAtRest(t, "after both");
    await node.ask("ip netns add set-a; ip netns add set-b");
  });

  for (const [step, how] of DEATHS)
    await t.test(`ADD killed after ${step} is put right by the ${how}`, async (t) => {
      await node.setFaults(`${step} kill`);
      const { exit } = await node.cni("stand-alone", cniCall("ADD", one), { faulty: true });
      await node.setFaults();
      t.equal(exit, KILLED);
      if (how === "reconciler") await node.reconcile();
      if (how === "ADD") t.same(failures([await call("shim", "ADD", one)]), [], "ADD again");
      if (how !== "reconciler") t.same(failures([await call("shim", "DEL", one)]), [], "DEL");
      await isAtRest(t, "afterwards");
      if (how === "reconciler") await call("shim", "DEL", one);
    });

  for (const step of ["del-returned@net4"])
    await t.test(`DEL killed after ${step} goes on where it was`, async (t) => {
      t.same(failures([await call("shim", "ADD", one)]), [], "ADD");
      await node.setFaults(`${step} kill`);
      t.equal((await node.cni("stand-alone", cniCall("DEL", one), { faulty: true })).exit, KILLED);
      await node.setFaults();
      t.same(failures([await call("shim", "DEL", one)]), [], "DEL again");
      await isAtRest(t, "afterwards");
    });
  await node.ask("ip netns del set-a; ip netns del set-b");
}
