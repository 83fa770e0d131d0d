// Boots the test machines and does what Multus does on two nodes: an ADD per pod and rail, later a DEL, through the installed executables.
import { setTimeout as sleep } from "node:timers/promises";
import { type DemoNode, type Pod, RAILS } from "./demo/node.ts";
import { picture } from "./demo/picture.ts";
import { clusterPlace, directoryPlace, hasApiServer } from "./demo/place.ts";
import { printTable } from "./demo/table.ts";

interface Attached {
  readonly pod: Pod;
  readonly rail: number;
  readonly pci: string;
  readonly ip: string;
}

const say = (text: string) => console.log(`\n\x1b[1m${text}\x1b[0m`);
const times: Record<string, number[]> = { ADD: [], DEL: [] };

const withCluster = process.argv[2] ? process.argv[2] === "cluster" : hasApiServer();
say("1. Two nodes with four SR-IOV NICs (QEMU igb); rail k of both is one network");
await using place = await (withCluster ? clusterPlace() : directoryPlace());
console.log(`${place.about}.`);
if (!withCluster)
  console.log("(With the API server that `npm test` builds: two machines. `npm run demo -- cluster` insists on it.)");
const [a, b] = place.nodes;
const machines = [...new Set(place.nodes.map(({ machine }) => machine))];
const pods: Pod[] = [0, 1, 2, 3].map((i) => ({
  name: `trainer-${i}`,
  node: i < 2 ? a : b,
  vf: (i % 2) + (i >= 2 && machines.length === 1 ? 2 : 0),
}));
await place.announce(pods);
const before = await Promise.all(machines.map(picture));
console.log(
  await a.ask("ip -br link | grep -E '^rail[0-9] '; echo '… each with its VFs:'; ip link show rail0 | grep -E '^ +vf'"),
);

say("2. ADD: two pods per node, four rails each, one call per rail as Multus makes it; both nodes at once");
const attached = (await Promise.all(place.nodes.map((node) => attachAll(node)))).flat();
printTable(
  ["pod", "node", "rail", "VF", "address"],
  attached.map(({ pod, rail, pci, ip }) => [pod.name, pod.node.name, `rail${rail}`, pci, ip]),
);
const distinct = new Set(attached.map(({ ip }) => ip)).size;
console.log(`${distinct} of ${attached.length} addresses are distinct; who has them, as the shared store says:`);
console.log((await place.addresses()).sort().slice(0, 3).join("\n"), "\n…");

say("3. In a pod, and at the PF: addresses, source rules, MAC and rate as the network configuration asks");
console.log(
  await a.ask(
    "ip -n trainer-0 -br addr; echo; ip -n trainer-0 rule | grep from.192; echo; ip link show rail0 | grep -E '^ +vf [01]'",
  ),
);

say("4. RDMA in a pod (soft-RoCE on each VF stands in for the NIC's own)");
console.log(
  await a.ask(
    "ip netns exec trainer-0 rdma link add demo0 type rxe netdev net1; ip netns exec trainer-0 rdma link; ip netns exec trainer-0 rdma link delete demo0",
  ),
);

say("5. Every rail carries packets from node to node");
const reached: number[] = [];
for (const rail of RAILS) if (await carries(rail)) reached.push(rail);

say("6. DEL: three pods end normally; the namespace of the fourth is removed first, as in a crash");
const [crashed, ...others] = [...pods].reverse() as [Pod, ...Pod[]];
await b.ask(`ip netns del ${crashed.name}; sleep 1`);
console.log("its VFs fall back to the host under the pod's names:");
console.log(await b.ask("ip -br link | grep -vE '^(lo|rail|bond|dummy|prim|host)' || true"));
for (const pod of [crashed, ...others]) await detach(pod);
for (const { name, node } of others) await node.ask(`ip netns del ${name}`);

say("7. What is left");
const left = await addressesLeft();
const after = await Promise.all(machines.map(picture));
const same = JSON.stringify(before) === JSON.stringify(after);
const records = (
  await Promise.all(
    place.nodes.map((node) => node.ask("find /var/lib/railnet/attachments /var/lib/railnet/ipam -name '*.json'")),
  )
)
  .join("")
  .trim();
console.log(same ? "Nothing: PFs and VFs are exactly as before." : "DIFFERENT from before: this is a bug.");

const isRight =
  same && reached.length === RAILS.length && distinct === attached.length && records === "" && left.length === 0;
const median = (values: number[]) => [...values].sort((x, y) => x - y)[values.length >> 1] ?? 0;
printTable(
  [],
  [
    ["pods, nodes, attachments made and ended", `${pods.length}, ${place.nodes.length}, ${times["ADD"]!.length}`],
    ["addresses given, distinct", `${attached.length}, ${distinct}`],
    ["rails that carried node to node", `${reached.length} of ${RAILS.length}`],
    [
      "median ADD, DEL in these (slow) machines",
      `${median(times["ADD"]!).toFixed(0)} ms, ${median(times["DEL"]!).toFixed(0)} ms`,
    ],
    ["PFs and VFs after, compared with before", same ? "identical" : "DIFFERENT"],
    ["records left in the journals", records || "none"],
    ["addresses left in the shared store", left.join(", ") || "none"],
  ],
);
console.log(`Where to go next: README.md has an example that works, docs/ every option and every error;
\`npm test\` shows the same under kill -9 at every step, reboots and broken input; \`npm run bench\` compares with the Go plugins.`);
process.exitCode = isRight ? 0 : 1;

async function attachAll(node: DemoNode): Promise<Attached[]> {
  const made: Attached[] = [];
  for (const pod of pods.filter((one) => one.node === node)) {
    await node.ask(`ip netns add ${pod.name} && ip -n ${pod.name} link set lo up`);
    for (const rail of RAILS) made.push(await attach(pod, rail));
  }
  return made;
}

async function attach(pod: Pod, rail: number): Promise<Attached> {
  const pci = await pciOf(pod, rail);
  const begin = performance.now();
  const result = JSON.parse(await pod.node.call("ADD", pod, `net${rail + 1}`, network(pod, rail, pci)));
  times["ADD"]!.push(performance.now() - begin);
  return { pod, rail, pci, ip: result.ips[0].address.split("/")[0] };
}

async function detach(pod: Pod): Promise<void> {
  for (const rail of [...RAILS].reverse()) {
    const pci = await pciOf(pod, rail);
    const begin = performance.now();
    await pod.node.call("DEL", pod, `net${rail + 1}`, network(pod, rail, pci));
    times["DEL"]!.push(performance.now() - begin);
  }
}

async function pciOf({ node, vf }: Pod, rail: number): Promise<string> {
  return (await node.ask(`basename $(readlink /sys/class/net/rail${rail}/device/virtfn${vf})`)).trim();
}

/** What a NetworkAttachmentDefinition says, with the VF that the device plugin chose. */
function network(pod: Pod, rail: number, pci: string): object {
  return {
    cniVersion: "1.0.0",
    name: `rail${rail}`,
    type: "railnet-sriov",
    deviceID: pci,
    rail: `rail${rail}`,
    mac: `02:00:00:0${rail}:00:1${pods.indexOf(pod)}`,
    trust: "on",
    max_tx_rate: 500,
    sourceRules: true,
    ipam: { type: "railnet-ipam", range: `192.168.${rail}.0/24`, range_start: `192.168.${rail}.10`, same_index: true },
  };
}

/** Both pods of a node reach both of the other. */
async function carries(rail: number): Promise<boolean> {
  const of = (pod: Pod) => attached.find((one) => one.pod === pod && one.rail === rail)!.ip;
  const pairs = [0, 1].map((i) => [pods[i]!, pods[i + 2]!] as const);
  const pings = pairs.map(async ([from, to]) => {
    const text = await a.ask(`ip netns exec ${from.name} ping -q -c 3 -i 0.2 -W 2 ${of(to)} || true`);
    return `${of(from)} → ${of(to)} ${/(\d+)% packet loss/.exec(text)?.[1] ?? "?"} % lost`;
  });
  const said = await Promise.all(pings);
  console.log(`rail${rail}: ${said.join(", ")}`);
  return said.every((text) => / 0 % lost$/.test(text));
}

/** A DEL is answered once it is on disk; the agent gives the address back a moment later. */
async function addressesLeft(): Promise<string[]> {
  for (let turn = 0; turn < 100; turn++) {
    if ((await place.addresses()).length === 0) break;
    await sleep(100);
  }
  return place.addresses();
}
