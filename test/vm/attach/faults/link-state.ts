import { resolve } from "node:path";
import type { Test } from "tap";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

type Json = Record<string, unknown>;

const BPF = resolve(import.meta.dirname, "../../../../lab/netns/bpf.py");

/** What a pod does to its link: the rows of cni/attachment/README.md that a real VF has. */
const CHANGES = `
  ip link set net1 promisc on allmulticast on arp off multicast off mode dormant dynamic on trailers off
  ip link set net1 txqueuelen 77 group 7 gso_max_size 30000 gso_max_segs 33 gro_max_size 31000
  ip link set net1 broadcast 00:11:22:33:44:55 mtu 1300 alias mine; ip link property add dev net1 altname other
  python3 ${BPF} xdp net1; python3 ${BPF} tcx net1
  tc qdisc add dev net1 clsact
  ip link add mac0 link net1 type macvlan mode bridge; ip link set mac0 up; ip link add vl7 link net1 type vlan id 7
  ethtool -K net1 gro off tx off > /dev/null; ethtool -G net1 rx 512; ethtool -C net1 rx-usecs 33`;

/** What a pod's link looks like after it was changed on a real VF, after DEL, after a fall back, and in the next pod. */
export async function linkStateTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  await node.startAgent();
  const vf = node.vf(2, 1);
  const ipam = (host: number) => ({ type: "static", addresses: [{ address: `192.168.102.${host}/24` }] });
  const of = (pod: string, host: number, own = vf): Wanted => ({ pod, vf: own, settings: { ipam: ipam(host) } });
  const [first, second, peer] = [of("first", 1), of("second", 2), of("peer", 9, node.vf(2, 2))];
  const home = await look(node, "", vf.name);

  await t.test("a pod's changes of its VF's link are gone after DEL, and the next pod has none of them", async (t) => {
    await node.ask("for n in first second peer; do ip netns add $n; done");
    t.same(failures(await shim(node, "ADD", [first, peer])), [], "ADD");
    const fresh = await look(node, "first", "net1");
    await node.ask(`ip netns exec first bash -ec '${CHANGES}'`);
    const changed = await look(node, "first", "net1");
    for (const key of Object.keys(fresh)) t.notSame(changed[key], fresh[key], `the pod has changed: ${key}`);
    t.same(failures(await shim(node, "DEL", [first])), [], "DEL");
    t.same(await look(node, "", vf.name), home, "after DEL");
    const left = await node.ask("ip -n first -br link | grep -vE '^(lo|eth0) ' || true");
    t.equal(left, "", "nothing that stood on it is left");
    t.same(failures(await shim(node, "ADD", [second])), [], "ADD");
    t.same(await look(node, "second", "net1"), fresh, "in the next pod");
    t.equal(
      (await node.machine.sh("ip netns exec second ping -q -c2 -i0.2 -W2 192.168.102.9")).exit,
      0,
      "and it pings",
    );
    t.same(failures(await shim(node, "DEL", [second])), [], "DEL");
  });

  await t.test("so they are when the namespace ended first and the VF fell back with them", async (t) => {
    t.same(failures(await shim(node, "ADD", [first])), [], "ADD");
    await node.ask(`ip netns exec first bash -ec '${CHANGES}'; ip netns del first
      for ((i = 0; i < 250; i++)); do [ -z "$(ls /sys/bus/pci/devices/${vf.pci}/net 2> /dev/null)" ] || break; sleep 0.02; done`);
    t.equal((await node.cni("shim", cniCall("DEL", first, { netns: "" }))).exit, 0, "DEL");
    await node.restoreMac(vf); // while it is down the kernel still counts the macvlan as curious
    t.same(await look(node, "", vf.name), home, "after DEL");
    t.same(failures(await shim(node, "DEL", [peer])), [], "DEL");
    await node.ask("ip netns del second; ip netns del peer");
    await isAtRest(t, "after all");
  });
}

/** All that ip(8), tc(8), ethtool(8) and bpf(2) tell of a link, without what says where and how it was last up, or last reset. */
async function look(node: Node, pod: string, link: string): Promise<Json> {
  const text = await node.ask(`look() {
      ip -j -d link show dev ${link}; echo ---
      tc qdisc show dev ${link} | grep clsact; echo ---; python3 ${BPF} tcx-count ${link}; echo ---
      for option in -k -g -l -c --show-priv-flags; do ethtool $option ${link} 2>&1; done; true
    }; export -f look; ${pod && `ip netns exec ${pod}`} bash -c look`);
  const [ip, clsact, tcx, ethtool] = text.split("---\n");
  const [{ ifindex, operstate, qdisc, permaddr, flags, ...rest }] = JSON.parse(ip!) as [Json];
  const steady = (flags as string[]).filter((f) => !["LOWER_UP", "NO-CARRIER"].includes(f));
  return { link: { ...rest, flags: steady }, clsact, tcx, ethtool: ethtool!.replaceAll(link, "LINK") };
}
