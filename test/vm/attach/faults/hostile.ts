import type { Test } from "tap";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";
import { Random } from "../support/random.ts";

const seed = Number(process.env["RAILNET_HOSTILE_SEED"] ?? 20_261_130);
const ROUNDS = Number(process.env["RAILNET_HOSTILE_ROUNDS"] ?? 4);
const STEPS = 50;

/** A pod may do with its links what NET_ADMIN in its namespaces lets it: neither a PF nor another VF nor the host may show it. */
export async function hostileTests(t: Test, node: Node): Promise<void> {
  await node.ask("modprobe dummy numdummies=0"); // else it makes a dummy0 in the host's namespace
  const isAtRest = await takeRest(node);
  const mine: Wanted = { pod: "evil", vf: node.vf(0, 1) };
  const second: Wanted = { pod: "evil", ifname: "net2", vf: node.vf(1, 1) };
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
      t.equal(await node.ask("ls /var/lib/railnet/owed"), `${mine.vf.pci}.json`, "the VF is owed its link");
    }),
  );

  for (const [whom, alias] of Object.entries({
    "its PF": `railnet ${mine.vf.pfPci} ${mine.vf.pf} 02:66:66:66:66:66 576`,
    "another VF": `railnet ${other.vf.pci} ${other.vf.name} 02:66:66:66:66:66 576`,
    "itself, with a PF's name": `railnet ${mine.vf.pci} ${second.vf.pf} 02:66:66:66:66:66 576`,
  }))
    await t.test(
      `an alias that names ${whom}, on a VF that falls back from a nested namespace while its pod lives`,
      (t) =>
        scene(t, [mine, other], async () => {
          const before = await node.steady(`ip -d -j link show ${mine.vf.pf}; ip -n good -d -j addr`);
          await node.ask("ip netns add inner; ip -n evil link set net1 netns inner");
          await node.ask(`ip -n inner link set net1 alias '${alias}'; ip netns del inner`);
          await node.ask(
            `for ((i = 0; i < 100; i++)); do [ -z "$(ls /sys/bus/pci/devices/${mine.vf.pci}/net)" ] || exit 0; sleep 0.1; done; exit 1`,
          );
          await node.reconcile(); // which gives the pod its VF again
          t.equal(await node.steady(`ip -d -j link show ${mine.vf.pf}; ip -n good -d -j addr`), before, "PF and neighbour are as before"); // biome-ignore format: one line
          t.same(failures(await del(mine, other)), [], "DEL");
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
      t.same(failures(await Promise.all([mine, second].map((who) => node.cni("shim", cniCall("DEL", who, { netns: "" }))))), [], "DEL of the others"); // biome-ignore format: one line
    }),
  );

  for (let round = 0; round < ROUNDS; round++)
    await t.test(`${STEPS} random things, round ${round} (RAILNET_HOSTILE_SEED=${seed})`, (t) =>
      scene(t, [mine, second, other], async () => {
        const before = await node.steady(`${others(node)}; ip -n good -d -j addr`);
        await node.ask("ip netns add inner0; ip netns add inner1");
        const lines = mischief(new Random(seed + round), node);
        await node.ask(lines.map((line) => `${line} 2> /dev/null || true`).join("\n"));
        t.equal(await node.steady(`${others(node)}; ip -n good -d -j addr`), before, `all others are as before:\n${lines.join("\n")}`); // biome-ignore format: one line
        t.same(failures(await del(mine, second, other)), [], `DEL\n${lines.join("\n")}`);
      }),
    );
  await node.killAgent();
}

/** Once nothing is owed any more: VFs come back from ended namespaces by and by. */
async function settled(node: Node): Promise<void> {
  await node.ask(`
    for ((i = 0; i < 100; i++)); do
      /opt/railnet/bin/railnet reconcile > /dev/null || true
      [ -n "$(ls /var/lib/railnet/owed /var/lib/railnet/attachments 2> /dev/null | grep json)" ] || exit 0
      sleep 0.3
    done
    cat /var/lib/railnet/owed/* >&2; exit 1`);
}

/** Links of the host that are neither the pod's VFs nor what is only seen through them. */
const others = (node: Node): string =>
  `ip -j link | tr '{' '\\n' | grep -oE '"ifname":"[^"]*"' | sort | grep -v -E '${node.vfs.map(({ name }) => name).join("|")}|net[0-9]|dev[0-9]|x[0-9]'`;

/** What a tenant with NET_ADMIN, and namespaces of its own, may think of. */
function mischief(random: Random, node: Node): string[] {
  const spaces = ["evil", "evil", "evil", "inner0", "inner1"];
  const names = ["net1", "net2", "x1", "x2", "rail0", "rail1v1", "rail0v2", "rail2v0", "eth0", "net9"];
  const pcis = [...node.vfs.slice(0, 6).map(({ pci }) => pci), node.vf(0, 0).pfPci];
  const link = () => random.of(names);
  const alias = () =>
    `railnet ${random.of(pcis)} ${random.of(names)} 02:66:66:66:66:0${random.below(9)} ${600 + random.below(900)}`;
  const things: (() => string)[] = [
    () => `link set ${link()} name ${link()}`,
    () => `link set ${link()} down`,
    () => `link set ${link()} up`,
    () => `link set ${link()} alias '${alias()}'`,
    () => `link set ${link()} alias ''`,
    () => `link set ${link()} mtu ${600 + random.below(900)}`,
    () => `link set ${link()} address 02:66:00:00:00:0${random.below(9)}`,
    () => `link property add dev ${link()} altname ${link()}`,
    () => `link add ${link()} index ${2 + random.below(40)} type dummy`,
    () => `link add ${link()} type veth peer name ${link()}`,
    () => `link add link ${link()} name ${link()} type macvlan`,
    () => `link add link ${link()} name ${link()} type vlan id ${1 + random.below(9)}`,
    () => `link add ${link()} type bridge`,
    () => `link set ${link()} master ${link()}`,
    () => `link del ${link()}`,
    () => `link set ${link()} netns ${random.of(["inner0", "inner1", "evil"])}`,
    () => `link set ${link()} netns ${random.of(["inner0", "inner1", "evil"])} name ${link()}`,
    () => `addr add 10.9.${random.below(9)}.1/24 dev ${link()}`,
    () => `rule add from 10.0.0.${random.below(9)} table ${1000 + random.below(50)}`,
    () => `route add 10.8.${random.below(9)}.0/24 dev ${link()}`,
    () => `link set ${link()} promisc on allmulticast on`,
    () => `link set ${link()} txqueuelen ${random.below(99)}`,
  ];
  return Array.from({ length: STEPS }, () =>
    random.oneIn(25)
      ? `{ ip netns del inner${random.below(2)} && sleep 0.2; }`
      : `ip -n ${random.of(spaces)} ${random.of(things)()}`,
  );
}
