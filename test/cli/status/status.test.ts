// What `railnet status` says to people of each thing that can be.
import t from "tap";
import type { AttachmentStatus, NodeStatus, RailStatus } from "../../../cli/status/node-status.ts";
import { problemsOf } from "../../../cli/status/problems.ts";
import { reportStatus, speedText } from "../../../cli/status/report.ts";

const NOW = Date.parse("2026-01-01T02:00:00Z");
const ago = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();

const rail = (more: Partial<RailStatus> = {}): RailStatus => ({
  rail: "rail0",
  pf: "ens1",
  pci: "0000:18:00.0",
  driver: "mlx5_core",
  link: "up",
  speed: 400_000,
  mtu: 9000,
  numaNode: 0,
  rdma: ["mlx5_0", "mlx5_1"],
  vfs: (["used", "used", "free"] as const).map((state, index) => ({ pci: `0000:18:01.${index}`, index, state })),
  ...more,
});
const attachment = (more: Partial<AttachmentStatus> = {}): AttachmentStatus => ({
  pod: "team/a",
  ifname: "net1",
  network: "rails",
  rail: "rail0",
  vf: "0000:18:01.0",
  addresses: ["10.0.0.1/24", "fd00::1/64"],
  containerId: "0123456789abcdef",
  state: "attached",
  ...more,
});
const agent = (more: object = {}): NodeStatus["agent"] =>
  ({ answers: true, version: "0.1.0", since: ago(180), notReady: "", refused: [], logLevel: "info", pendingReleases: 0, notes: [], ...more }) as never; // biome-ignore format: one row
const status = (more: Partial<NodeStatus> = {}): NodeStatus => ({
  node: "node-a",
  agent: agent(),
  rdma: "exclusive",
  rails: [],
  configured: [],
  absent: [],
  unusable: "",
  attachments: [],
  debts: [],
  problems: [],
  ...more,
});

t.test("reportStatus() of a node with one of everything", async (t) => {
  const notes = Array.from({ length: 10 }, (_, i) => ({
    at: ago(i),
    what: `what${i}`,
    about: "pod team/a",
    message: "why",
  }));
  const text = reportStatus(
    status({
      agent: agent({ pendingReleases: 2, notes: notes.toReversed() }),
      rails: [rail(), rail({ rail: "rail1", pf: "ens2", speed: null, mtu: null, numaNode: null, rdma: [], vfs: [] })],
      absent: [{ rail: "rail9", why: "no PF is like that" }],
      attachments: [
        attachment(),
        attachment({ pod: "", ifname: "net2", addresses: [], network: "", state: "orphaned" }),
      ],
      problems: ["one", "two"],
    }),
    NOW,
  );
  t.equal(
    text,
    [
      "node-a: agent 0.1.0 ready, up 3h, log level info, 2 releases of addresses waiting, RDMA namespaces exclusive",
      "",
      "RAIL   PF    PCI           LINK  SPEED   MTU  NUMA  RDMA           VFS  USED  FREE",
      "rail0  ens1  0000:18:00.0  up     400G  9000     0  mlx5_0,mlx5_1    3     2     1",
      "rail1  ens2  0000:18:00.0  up        -     -     -  -                0     0     0",
      "",
      "rail rail9 is not on this node: no PF is like that",
      "",
      "POD            INTERFACE  RAIL   VF            ADDRESSES               NETWORK  STATE",
      "team/a         net1       rail0  0000:18:01.0  10.0.0.1/24,fd00::1/64  rails    attached",
      "0123456789abc  net2       rail0  0000:18:01.0  -                       -        orphaned",
      "",
      "AGO  LAST   ABOUT       WHY",
      ...["0s", "60s", "2m", "3m", "4m", "5m", "6m", "7m"].map((at, i) => `${at.padEnd(3)}  what${i}  pod team/a  why`),
      "",
      "2 problems:",
      "  one",
      "  two",
      "",
    ].join("\n"),
  );
});

for (const { when, given, want } of [
  { when: "without an agent", given: { agent: { answers: false, why: "no socket" }, rdma: null }, want: "node-a: no agent answers, no RDMA\n\nno rails: no PF of this node has VFs\n\nno pod has a VF\n" },
  { when: "whose agent is not ready", given: { agent: agent({ notReady: "no API server" }), rdma: "shared" }, want: "node-a: agent 0.1.0 NOT READY (no API server), up 3h, log level info, RDMA namespaces shared\n\nno rails: no PF of this node has VFs\n\nno pod has a VF\n" },
  { when: "with one problem", given: { problems: ["it"] }, want: "node-a: agent 0.1.0 ready, up 3h, log level info, RDMA namespaces exclusive\n\nno rails: no PF of this node has VFs\n\nno pod has a VF\n\n1 problem:\n  it\n" },
] as { when: string; given: Partial<NodeStatus>; want: string }[]) // biome-ignore format: rows
  t.test(`reportStatus() of a node ${when}`, async (t) => t.equal(reportStatus(status(given), NOW), want));

for (const { when, given, want } of [
  { when: "all is well", given: { rails: [rail()], attachments: [attachment(), attachment({ state: "claimed" }), attachment({ state: "returned" })] }, want: [] },
  { when: "no agent answers", given: { agent: { answers: false, why: "no socket: start it" } }, want: ["no socket: start it"] },
  { when: "the agent is not ready", given: { agent: agent({ notReady: "no API server" }) }, want: ["the agent does not serve: no API server"] },
  { when: "the agent may not do something", given: { agent: agent({ refused: ["a", "b"] }) }, want: ["a", "b"] },
  { when: "the agent is of a release that says nothing of it", given: { agent: agent({ refused: undefined }) }, want: [] },
  { when: "the list of rails is broken", given: { unusable: "rails[0]: want a name" }, want: ["rails[0]: want a name (key rails of the ConfigMap kube-system/railnet-config)"] },
  { when: "a rail is down", given: { rails: [rail({ link: "down" })] }, want: ["rail rail0 (ens1) is down: ip link set ens1 up"] },
  { when: "a PF has no carrier", given: { rails: [rail({ rail: "ens1", link: "no carrier" })] }, want: ["PF ens1 has no carrier: check cable and switch"] },
  { when: "VFs are not to be had", given: { rails: [rail({ vfs: (["unbound", "elsewhere", "free", "used"] as const).map((state, index) => ({ pci: `v${index}`, index, state })) })] }, want: ["VF v0 of rail rail0 (ens1) has no driver: load the one of its vendor", "VF v1 of rail rail0 (ens1) is in a network namespace, and not by Railnet: does another plugin use this PF?"] },
  { when: "a pod lives without its VF", given: { attachments: [attachment({ state: "astray" })] }, want: ["VF 0000:18:01.0 of team/a (net1): the pod lives, but its VF is not in its namespace: recreate the pod"] },
  { when: "a pod is gone", given: { attachments: [attachment({ state: "orphaned", pod: "" })] }, want: ["VF 0000:18:01.0 of container 0123456789abcdef (net1): its pod is gone: the agent cleans it up within a minute, or `railnet reconcile`"] },
  { when: "it is from before a reboot, and fenced", given: { attachments: [attachment({ state: "rebooted", isFenced: true })] }, want: ["VF 0000:18:01.0 of team/a (net1): it is from before the reboot: the agent cleans it up, or `railnet reconcile`"] },
  { when: "a VF is fenced", given: { attachments: [attachment({ isFenced: true })] }, want: ["VF 0000:18:01.0 of team/a (net1): it is down by the fence, since this node could not report to the API server: it comes up when it can, unless another pod has its address by then (an event of the pod says so: delete the pod)"] },
  { when: "something is owed", given: { debts: [{ vf: "v0", rail: "rail0", since: "team/a", owed: [{ part: "mtu", why: "busy" }, { part: "PF vlan", why: "no" }] }] }, want: ["VF v0 of rail0 is given to no pod: it is not fully restored since team/a had it: mtu (busy); PF vlan (no): fix that; the agent retries on carrier, when a driver is bound, and every 20 seconds"] },
] as { when: string; given: Partial<NodeStatus>; want: string[] }[]) // biome-ignore format: rows
  t.test(`problemsOf() when ${when}`, async (t) => t.same(problemsOf(status(given)), want));

t.test("speedText() is in the words of the trade", async (t) => {
  t.same([400_000, 2_500, 1_000, 999, 10, null].map(speedText), ["400G", "2.5G", "1G", "999M", "10M", ""]); // biome-ignore format: one row
});
