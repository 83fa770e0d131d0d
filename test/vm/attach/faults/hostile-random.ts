import type { Test } from "tap";
import { fileSeed } from "../../../../lab/seed.ts";
import { hostileActions } from "../../../hostile/actions.ts";
import { AS_POD, scriptOf } from "../../../hostile/script.ts";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { failures, type Node, shim, type Vf } from "../support/node.ts";
import { picture, takeRest } from "../support/picture.ts";

type Json = Record<string, unknown>;

const ACTIONS = 200;
const seed = Number(process.env["RAILNET_HOSTILE_SEED"] ?? fileSeed("test/vm/attach/faults/hostile-random.ts"));

/** test/netns/hostile-random on a real VF, which really falls back from the namespaces that the pod nests. */
export async function randomHostileTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  await node.startAgent();
  const vf = node.vf(1, 1);
  const of = (pod: string, host: number, own = vf): Wanted => ({
    pod,
    vf: own,
    settings: { sourceRules: true, ipam: { type: "static", addresses: [{ address: `192.168.101.${host}/24` }] } },
  });
  const [victim, next, bystander] = [of("hostile", 1), of("next", 2), of("bystander", 9, node.vf(1, 2))];

  await t.test(`a hostile pod on a real VF harms nobody (RAILNET_HOSTILE_SEED=${seed})`, async (t) => {
    await node.ask("for n in hostile next bystander; do ip netns add $n; done");
    t.same(failures(await shim(node, "ADD", [bystander])), []);
    const before = await everybody(node, vf);
    t.same(failures(await shim(node, "ADD", [victim])), []);
    const actions = hostileActions(seed, ACTIONS, await surroundings(node, vf));
    const list = actions.map(({ at, text }) => `${at}: ${text}`).join("\n");
    const holders = await attack(t, node, scriptOf(actions, await indexOf(node)));
    await endContainer(node, vf, holders);
    t.same(await untilDeleted(node, victim), 0, "DEL");
    await node.ask("ip netns del hostile");
    t.same(await everybody(node, vf), before, "everybody is as before, the VF too");
    t.same(failures(await shim(node, "ADD", [next])), [], "the next ADD");
    t.equal((await node.machine.sh("ip netns exec next ping -q -c2 -i0.2 -W2 192.168.101.9")).exit, 0, "which pings");
    t.same(failures(await shim(node, "DEL", [next, bystander])), []);
    await node.ask("ip netns del next; ip netns del bystander");
    if (!t.passing()) t.comment(list);
  });
  await node.restoreMac(vf);
  await isAtRest(t, "after all");
}

const indexOf = async (node: Node): Promise<number> =>
  Number((await node.ask("ip -n hostile -o link show net1 | cut -d: -f1")).trim());

/** @returns the ids of the pod's processes that live on. */
async function attack(t: Test, node: Node, script: string): Promise<string[]> {
  const { stdout, stderr } = await node.machine.exec(["ip", "netns", "exec", "hostile", ...AS_POD], {
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    stdin: script,
    timeoutMs: 400_000,
  });
  const refused = stderr.split("\n").filter((line) => /^Command failed/.test(line)).length;
  t.ok(refused < ACTIONS / 2, `most of it happens: ${refused} of ${ACTIONS} are refused`);
  return stdout.split("\n").filter((line) => /^\d+$/.test(line));
}

/** Its processes end; the VF is in the pod's own namespace, or falls back from where it was. */
async function endContainer(node: Node, { pci }: Vf, holders: readonly string[]): Promise<void> {
  await node.ask(`for pid in ${holders.join(" ")}; do kill -9 $pid; done
    for ((i = 0; i < 500; i++)); do
      [ -z "$(ls /sys/bus/pci/devices/${pci}/net 2> /dev/null)" ] || break
      ! ip -n hostile -d -o link | grep -q ${pci} || break; sleep 0.05
    done`);
}

/** As a runtime does: again and again. @returns 0, or what the last answer was. */
async function untilDeleted(node: Node, wanted: Wanted): Promise<unknown> {
  for (let left = 10; ; left--) {
    const { exit, json } = await node.cni("shim", cniCall("DEL", wanted));
    if (exit === 0) return 0;
    if (left === 1) return json;
    await node.ask("sleep 0.5");
  }
}

async function surroundings(node: Node, vf: Vf) {
  const links = JSON.parse(await node.ask("ip -j link")) as Json[];
  const others = node.vfs.filter(({ pci }) => pci !== vf.pci);
  return {
    link: "net1",
    index: await indexOf(node),
    pci: vf.pci,
    home: vf.name,
    names: links.map(({ ifname }) => String(ifname)).filter((name) => name !== "lo"),
    pcis: [...others.map(({ pci }) => pci), vf.pfPci],
    macs: links.map(({ address }) => String(address)),
    addresses: ["192.168.101.1/24", "192.168.101.9/24", "192.168.1.1/24"],
    isVeth: false,
  };
}

/** Host, PFs, VFs and the other pod; of the VF itself all but how many were curious (test/netns/hostile-random). */
async function everybody(node: Node, vf: Vf): Promise<Json> {
  const links = (await picture(node)) as Record<string, Json>;
  const { promiscuity, allmulti, ...own } = links[vf.name] ?? {};
  return {
    links: { ...links, [vf.name]: own },
    pod: await node.steady(
      "ip -n bystander -d -j addr; ip -n bystander -j rule; ip -n bystander -j route show table all",
    ),
    host: await node.ask("ip -j rule; ip -j -6 rule; ip -j -4 route show table all; rdma -j dev; rdma -j link"),
    drivers: await node.ask(
      "(for n in rail? rail?v?; do ethtool -k $n; ethtool -g $n; ethtool -c $n; done) 2>&1 || true",
    ),
  };
}
