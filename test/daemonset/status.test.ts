import t from "tap";
import type { NodeStatus } from "../../cli/status/node-status.ts";
import { problemsOf } from "../../cli/status/problems.ts";
import { reportStatus, speedText } from "../../cli/status/report.ts";
import { NO_RAILS } from "../../daemonset/inventory/rails.ts";

const NOW = Date.parse("2026-01-02T03:04:05Z");
const agent = {
  answers: true,
  version: "1.2.3",
  pid: 1,
  since: "2026-01-02T01:04:05Z",
  notReady: "",
  logLevel: "info",
  node: "node-a",
  pendingReleases: 0,
  events: { sent: 0, dropped: 0, waiting: 0 },
  rails: NO_RAILS,
  notes: [],
} as const;
const rail: NodeStatus["rails"][number] = {
  rail: "rail0",
  pf: "ens1f0np0",
  pci: "0000:18:00.0",
  driver: "mlx5_core",
  link: "up",
  speed: 400_000,
  mtu: 9000,
  numaNode: 0,
  rdma: ["mlx5_0"],
  vfs: [
    { pci: "0000:18:00.1", index: 0, state: "used" },
    { pci: "0000:18:00.2", index: 1, state: "free" },
  ],
};
const well: Omit<NodeStatus, "problems"> = {
  node: "node-a",
  agent,
  rdma: "exclusive",
  rails: [rail],
  configured: [],
  absent: [],
  unusable: "",
  attachments: [
    {
      pod: "ns/trainer-0",
      ifname: "net1",
      network: "rail0-net",
      rail: "rail0",
      vf: "0000:18:00.1",
      addresses: ["192.168.0.7/24", "fd00::7/64"],
      containerId: "c1",
      state: "attached",
    },
  ],
  debts: [],
};
const report = (status: Omit<NodeStatus, "problems">) => reportStatus({ ...status, problems: problemsOf(status) }, NOW);

t.test("reportStatus() of a node that is well", async (t) => {
  t.equal(
    report(well),
    `node-a: agent 1.2.3 ready, up 2h, log level info, RDMA namespaces exclusive

RAIL   PF         PCI           LINK  SPEED   MTU  NUMA  RDMA    VFS  USED  FREE
rail0  ens1f0np0  0000:18:00.0  up     400G  9000     0  mlx5_0    2     1     1

POD           INTERFACE  RAIL   VF            ADDRESSES                  NETWORK    STATE
ns/trainer-0  net1       rail0  0000:18:00.1  192.168.0.7/24,fd00::7/64  rail0-net  attached
`,
  );
});

t.test("reportStatus() shows what the agent did last, the newest first, without control characters", async (t) => {
  const note = (minute: number, message: string) => ({
    at: `2026-01-02T03:${minute}:05Z`,
    what: "attachment ended",
    about: "VF 0000:18:00.1",
    message,
  });
  const notes = [note(10, "old"), note(50, "new \x1b[2J")].map((one) => ({ ...one, at: one.at.replace("T03", "T02") }));
  const text = report({ ...well, agent: { ...agent, notes } });
  t.match(text, /AGO +LAST +ABOUT +WHY\n14m +attachment ended +VF 0000:18:00\.1 +new \?\[2J\n54m .* old\n/);
});

t.test("reportStatus() names configured rails that are not here", async (t) => {
  const text = report({ ...well, absent: [{ rail: "rail7", why: "no PF of this node matches its selectors" }] });
  t.match(text, /\n\nrail rail7 is not on this node: no PF of this node matches its selectors\n\n/);
});

for (const { when, status, want } of [
  { when: "nothing", status: well, want: [] },
  {
    when: "no agent",
    status: { ...well, agent: { answers: false, why: "no agent runs" } as const },
    want: ["no agent runs"],
  },
  {
    when: "an agent that waits",
    status: { ...well, agent: { ...agent, notReady: "the journal is being read" } },
    want: ["the agent does not serve: the journal is being read"],
  },
  {
    when: "an agent that the API server refuses something",
    status: { ...well, agent: { ...agent, refused: ["cannot watch nodes: forbidden"] } },
    want: ["cannot watch nodes: forbidden"],
  },
  {
    when: "a list of rails that is none",
    status: { ...well, unusable: "cannot read rails: want a list" },
    want: ["cannot read rails: want a list (key rails of the ConfigMap kube-system/railnet-config)"],
  },
  {
    when: "a rail without carrier",
    status: { ...well, rails: [{ ...rail, link: "no carrier" as const }] },
    want: ["rail rail0 (ens1f0np0) has no carrier: check cable and switch"],
  },
  {
    when: "a VF without driver",
    status: { ...well, rails: [{ ...rail, vfs: [{ pci: "0000:18:00.1", index: 0, state: "unbound" as const }] }] },
    want: ["VF 0000:18:00.1 of rail rail0 (ens1f0np0) has no driver: load the one of its vendor"],
  },
  {
    when: "an attachment of before the reboot",
    status: { ...well, attachments: [{ ...well.attachments[0]!, pod: "", state: "rebooted" as const }] },
    want: [
      "VF 0000:18:00.1 of container c1 (net1): it is from before the reboot: the agent cleans it up, or `railnet reconcile`",
    ],
  },
  {
    when: "a VF that the fence took down",
    status: { ...well, attachments: [{ ...well.attachments[0]!, isFenced: true as const }] },
    want: [
      "VF 0000:18:00.1 of ns/trainer-0 (net1): it is down by the fence, since this node could not report to the API server: it comes up when it can, unless another pod has its address by then (an event of the pod says so: delete the pod)",
    ],
  },
  {
    when: "running work, which is none",
    status: { ...well, attachments: [{ ...well.attachments[0]!, state: "claimed" as const }] },
    want: [],
  },
])
  t.test(`problemsOf() names ${when}`, async (t) => t.same(problemsOf(status), want));

t.test("speedText() is as people say it", async (t) => {
  t.same([null, 100, 1000, 2500, 25_000, 400_000].map(speedText), ["", "100M", "1G", "2.5G", "25G", "400G"]);
});

t.test("problemsOf() names a VF that is owed something, what, why, and since which pod", async (t) => {
  const owed = [{ part: "PF minTxRate,maxTxRate", why: "cannot restore VF 1 of ens1f0np0: Invalid argument (EINVAL)" }];
  const debts = [{ vf: "0000:18:00.2", rail: "rail0", since: "ns/trainer-1", owed }];
  t.same(problemsOf({ ...well, debts }), [
    "VF 0000:18:00.2 of rail0 is given to no pod: it is not fully restored since ns/trainer-1 had it: PF minTxRate,maxTxRate (cannot restore " +
      "VF 1 of ens1f0np0: Invalid argument (EINVAL)): fix that; the agent retries on carrier, when a driver is bound, " +
      "and every 20 seconds",
  ]);
});
