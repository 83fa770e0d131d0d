import type { Test } from "tap";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

/** A pod may do with its links what NET_ADMIN in its namespaces lets it: neither a PF nor another VF nor the host may show it. */
export async function hostileTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  const mine: Wanted = { pod: "evil", vf: node.vf(0, 1) };
  const second: Wanted = { pod: "evil", ifname: "net2", vf: node.vf(1, 1) };
  const third: Wanted = { pod: "evil", ifname: "net3", vf: node.vf(2, 1) };
  const other: Wanted = { pod: "good", vf: node.vf(0, 2) };
  await node.startAgent();

  const scene = async (t: Test, who: readonly Wanted[], run: () => Promise<void>) => {
    await node.ask("ip netns add evil; ip netns add good");
    t.same(failures(await shim(node, "ADD", who)), [], "ADD");
    await run();
    await node.ask("ip -all netns del");
    await settled(node);
    await isAtRest(t, "after all");
  };
  const del = (...who: Wanted[]) => shim(node, "DEL", who);
  const inEvil = (...lines: string[]) => node.ask(lines.map((line) => `ip -n evil ${line}`).join("\n"));

  await t.test("a dummy with the VF's name, MAC, alias and index, while the VF is in a nested namespace", (t) =>
    scene(t, [mine], async () => {
      const [was] = JSON.parse(await node.ask("ip -n evil -j link show net1"));
      await node.ask("ip netns add inner; ip -n evil link set net1 netns inner");
      await inEvil(
        `link add net1 index ${was.ifindex} address ${was.address} type dummy`,
        `link set net1 alias '${was.ifalias}'`,
      );
      t.same(failures(await del(mine)), [], "DEL");
      const [there] = JSON.parse(await node.ask("ip -n evil -d -j link show net1"));
      t.equal(there.linkinfo.info_kind, "dummy", "the dummy stays where it is");
      t.equal((await node.ask("ls /var/lib/railnet/owed")).trim(), `${mine.vf.pci}.json`, "the VF is owed its link");
    }),
  );

  await t.test("aliases that name others, on VFs that fall back from a nested namespace while their pod lives", (t) =>
    scene(t, [mine, second, third, other], async () => {
      const seen = `for n in 0 1 2; do ip -d -j link show rail$n; done; ip -n good -d -j addr`;
      const before = await node.steady(seen);
      const tail = "02:66:66:66:66:66 576";
      await node.ask(`ip netns add inner
        for n in 1 2 3; do ip -n evil link set net$n netns inner; done
        ip -n inner link set net1 alias 'railnet ${mine.vf.pfPci} ${mine.vf.pf} ${tail}' # its PF
        ip -n inner link set net2 alias 'railnet ${other.vf.pci} ${other.vf.name} ${tail}' # another VF
        ip -n inner link set net3 alias 'railnet ${third.vf.pci} ${second.vf.pf} ${tail}' # itself, with a PF's name
        ip netns del inner
        for vf in ${[mine, second, third].map(({ vf }) => vf.pci).join(" ")}; do
          for ((i = 0; i < 100; i++)); do [ -z "$(ls /sys/bus/pci/devices/$vf/net)" ] || break; sleep 0.1; done
        done`);
      await node.reconcile(); // which gives the pod its VFs again
      t.equal(await node.steady(seen), before, "PFs and neighbour are as before");
      t.same(failures(await del(mine, second, third, other)), [], "DEL");
    }),
  );

  await t.test("two VFs of a pod that swap names and aliases", (t) =>
    scene(t, [mine, second], async () => {
      const [a, b] = JSON.parse(await node.ask("ip -n evil -j link show")).slice(-2);
      await inEvil(
        "link set net1 down",
        "link set net2 down",
        "link set net1 name x",
        "link set net2 name net1",
        "link set x name net2",
        `link set net1 alias '${a.ifalias}'`,
        `link set net2 alias '${b.ifalias}'`,
      );
      t.same(failures(await del(mine, second)), [], "DEL");
    }),
  );

  await t.test("a VF that falls back under the name, and an altname, of VFs that are in other pods", (t) =>
    scene(t, [mine, second, other], async () => {
      await inEvil(
        "link set net1 down",
        "link set net2 down",
        `link set net1 name ${other.vf.name}`,
        `link property add dev net2 altname ${mine.vf.name}`,
      );
      await node.ask(`ip netns del evil
        for ((i = 0; i < 100; i++)); do [ -e /sys/class/net/${other.vf.name} ] && exit 0; sleep 0.1; done; exit 1`);
      t.same(failures(await del(other)), [], "DEL of the pod whose VF's name was taken");
      t.same(
        failures(await Promise.all([mine, second].map((who) => node.cni("shim", cniCall("DEL", who, { netns: "" }))))),
        [],
        "DEL of the others",
      );
    }),
  );
}

/** Once nothing is owed any more: VFs come back from ended namespaces by and by. */
async function settled(node: Node): Promise<void> {
  await node.ask(`
    for ((i = 0; i < 100; i++)); do
      [ -n "$(ls /var/lib/railnet/owed /var/lib/railnet/attachments 2> /dev/null | grep json)" ] || exit 0
      /opt/railnet/bin/railnet reconcile > /dev/null || true; sleep 0.3
    done
    cat /var/lib/railnet/owed/* >&2; exit 1`);
}
