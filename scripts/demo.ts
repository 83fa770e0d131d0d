// Boots the test machine and does what Multus does: one ADD per pod and rail, later one DEL, through the installed executables.
import { Machine } from "../test/vm/machine.ts";

const RAILS = [0, 1, 2, 3];
const PODS = [
  { name: "pod-a", vf: 0, host: 11 },
  { name: "pod-b", vf: 1, host: 12 },
];
type Pod = (typeof PODS)[number];
const ips = ({ host }: Pod, rail: number) => `192.168.${rail}.${host}`;
const say = (text: string) => console.log(`\n\x1b[1m${text}\x1b[0m`);

say("1. A machine with four SR-IOV NICs (QEMU igb), four VFs each");
await using machine = await Machine.start({ name: "demo", vfs: 4, memoryMiB: 1536 });
await install(machine);
const before = await picture(machine);
console.log(
  await machine.ask(
    "ip -br link | grep -E '^rail[0-9] '; echo '… each with its VFs:'; ip link show rail0 | grep -E '^ +vf'",
  ),
);

say("2. ADD: two pods, four rails each, one call per rail as Multus makes it");
const times: Record<string, number[]> = { ADD: [], DEL: [] };
for (const pod of PODS) {
  await machine.ask(`ip netns add ${pod.name} && ip -n ${pod.name} link set lo up`);
  for (const rail of RAILS) await cni(machine, "ADD", pod, rail);
}
console.log(await machine.ask("ip -n pod-a -br addr; echo; ip -n pod-a rule | grep from.192"));

say("3. At the PF: MAC, VLAN and rate as the network configuration asks");
console.log(await machine.ask("ip link show rail0 | grep -E '^ +vf [01]'"));

say("4. RDMA in the pods (soft-RoCE on each VF stands in for the NIC's own)");
for (const { name } of PODS) await machine.ask(`ip netns exec ${name} rdma link add ${name} type rxe netdev net1`);
console.log(await machine.ask("ip netns exec pod-a rdma link"));
for (const { name } of PODS) await machine.ask(`ip netns exec ${name} rdma link delete ${name}`);

say("5. Every rail carries packets from pod to pod");
const reached: string[] = [];
for (const rail of RAILS) {
  const { exit, stdout } = await machine.sh(`ip netns exec pod-a ping -q -c 3 -i 0.2 -W 2 ${ips(PODS[1]!, rail)}`);
  const lost = /(\d+)% packet loss/.exec(stdout)?.[1] ?? "?";
  console.log(
    `rail${rail}: ${ips(PODS[0]!, rail)} → ${ips(PODS[1]!, rail)}: ${exit === 0 ? "ok" : "FAILED"}, ${lost} % lost`,
  );
  if (exit === 0) reached.push(`rail${rail}`);
}

say("6. DEL: one pod ends as it should; the other one's namespace is torn away first, as in a crash");
for (const rail of [...RAILS].reverse()) await cni(machine, "DEL", PODS[0]!, rail);
await machine.ask("ip netns del pod-b; sleep 0.5");
console.log("its VFs fall back to the host under the pod's names:");
console.log(await machine.ask("ip -br link | grep -vE '^(lo|rail|bond|dummy)' || true"));
for (const rail of [...RAILS].reverse()) await cni(machine, "DEL", PODS[1]!, rail);

const after = await picture(machine);
const same = before === after;
const records = (await machine.ask("ls /var/lib/railnet/attachments")).trim();
say("7. What is left");
console.log(same ? "Nothing: PFs and VFs are exactly as before." : "DIFFERENT from before: this is a bug.");
await machine.ask("ip netns del pod-a");

const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
console.log(`
  ┌──────────────────────────────────────────┬──────────────────────┐
  │ attachments made and ended               │ ${String(times.ADD!.length).padEnd(20)} │
  │ rails that carried pod to pod            │ ${`${reached.length} of ${RAILS.length}`.padEnd(20)} │
  │ median ADD, DEL in this (slow) machine   │ ${`${median(times.ADD!).toFixed(0)} ms, ${median(times.DEL!).toFixed(0)} ms`.padEnd(20)} │
  │ PFs and VFs after, compared with before  │ ${(same ? "identical" : "DIFFERENT").padEnd(20)} │
  │ records left in the journal              │ ${(records === "" ? "none" : records).padEnd(20)} │
  └──────────────────────────────────────────┴──────────────────────┘
Where to go next: README.md has a NetworkAttachmentDefinition that works, every option and every error;
\`npm test\` shows the same under kill -9 at every step, reboots and broken input; \`npm run bench\` compares with the Go plugins.`);
process.exitCode = same && reached.length === RAILS.length && records === "" ? 0 : 1;

/** As on a node: shim in /opt/cni/bin, full executable beside the agent, agent running. */
async function install(machine: Machine): Promise<void> {
  await machine.push("dist/railnet", "/opt/railnet/bin/railnet");
  await machine.push("dist/railnet-shim", "/opt/cni/bin/railnet-sriov");
  await machine.ask(`
    for v in /sys/class/net/rail?v?; do ip link set $(basename $v) up; done; sleep 0.5
    for v in /sys/class/net/rail?v?; do ip link set $(basename $v) down; done
    setsid /opt/railnet/bin/railnet agent > /tmp/agent.log 2>&1 < /dev/null &
    for ((i = 0; i < 300; i++)); do [ -S /run/railnet/agent.sock ] && exit 0; sleep 0.05; done; cat /tmp/agent.log >&2; exit 1`);
}

/** PFs with their VF settings, and the VFs' links, without what changes by itself. */
async function picture(machine: Machine): Promise<string> {
  const links = JSON.parse(await machine.ask("ip -j -d link")) as Record<string, unknown>[];
  const volatile = ["ifindex", "operstate", "permaddr", "qdisc"];
  const lines = links
    .filter((l) => l.parentbus === "pci")
    .map((l) =>
      JSON.stringify(
        Object.entries(l)
          .filter(([key]) => !volatile.includes(key))
          .sort(),
      ),
    );
  return lines.sort().join("\n");
}

async function cni(machine: Machine, verb: "ADD" | "DEL", pod: Pod, rail: number): Promise<void> {
  const pci = (await machine.ask(`basename $(readlink /sys/class/net/rail${rail}/device/virtfn${pod.vf})`)).trim();
  const config = {
    cniVersion: "1.0.0",
    name: `rail${rail}`,
    type: "railnet-sriov",
    deviceID: pci,
    rail: `rail${rail}`,
    mac: `02:00:00:0${rail}:00:${pod.host}`,
    trust: "on",
    max_tx_rate: 500,
    sourceRules: true,
    ipam: { type: "static", addresses: [{ address: `${ips(pod, rail)}/24` }] },
  };
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: pod.name,
    CNI_NETNS: `/run/netns/${pod.name}`,
    CNI_IFNAME: `net${rail + 1}`,
    CNI_PATH: "/opt/cni/bin",
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name}`,
  };
  const begin = performance.now();
  const { exit, stdout, stderr } = await machine.exec(["/opt/cni/bin/railnet-sriov"], {
    env,
    stdin: JSON.stringify(config),
  });
  times[verb]!.push(performance.now() - begin);
  if (exit !== 0) throw new Error(`${verb} of ${pod.name} on rail${rail} failed: ${stdout}${stderr}`);
  if (verb === "ADD" && rail === 0) console.log(`${pod.name}: ${stdout}`);
}
