import t from "tap";
import { decide } from "../../../cli/ipam/audit/decide.ts";
import type { AuditFinding } from "../../../cli/ipam/audit/finding.ts";
import { planAudit, settled } from "../../../cli/ipam/audit/plan-audit.ts";
import { NOW_MS, type StateText, stateOf } from "./support/cluster-state.ts";

const audit = (text: StateText) => {
  const { snapshot, pods } = stateOf(text);
  return planAudit(snapshot, pods, NOW_MS);
};
/** `kind network/address fix`, sorted. */
const brief = (findings: readonly AuditFinding[]): string[] =>
  findings.map(({ kind, network, ip, fix }) => `${kind} ${network}/${ip} ${fix}`).sort();

const POOL = "10.0.0.0-24";
const range = "10.0.0.0/24";
const RAIL = "rail0-10.0.0.0-24";
const ours = (of: string, more: { node?: string; uid?: string; since?: string } = {}) => ({
  of,
  pool: POOL,
  node: "node-a",
  ...more,
});

interface Row extends StateText {
  readonly when: string;
  readonly want: readonly string[];
  readonly notes?: number;
}

const ROWS: readonly Row[] = [
  { when: "nothing is there", want: [] },
  {
    when: "record, reservation and pod agree",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } },
    reservations: { "10.0.0.1": ours("default/a", { uid: "uid-a" }) },
    pods: ["a net1=10.0.0.1"],
    want: [],
  },
  {
    when: "Whereabouts made both",
    mode: "coexist",
    pools: { [RAIL]: { range, records: { 1: "default/a" } } },
    reservations: { "rail0-10.0.0.1": "default/a" },
    pods: ["a net1=10.0.0.1"],
    want: [],
  },
  {
    when: "the record is not written yet, without Whereabouts",
    pools: { [POOL]: { range, adopted: true } },
    reservations: { "10.0.0.1": ours("default/a") },
    pods: ["a net1=10.0.0.1"],
    want: [],
    notes: 1,
  },
  {
    when: "the record names another living pod than the reservation",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/b" } } },
    reservations: { "10.0.0.1": ours("default/a") },
    pods: ["a", "b"],
    want: ["duplicate /10.0.0.1 none"],
  },
  {
    when: "another interface of the same pod has the address too",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a net2" } } },
    reservations: { "10.0.0.1": ours("default/a net1") },
    pods: ["a"],
    want: ["duplicate /10.0.0.1 none"],
  },
  {
    when: "two pools that overlap record one address for two pods",
    mode: "coexist",
    pools: {
      [POOL]: { range, records: { 1: "default/a" } },
      "10.0.0.0-28": { range: "10.0.0.0/28", records: { 1: "default/b" } },
    },
    reservations: { "10.0.0.1": "default/a" },
    pods: ["a", "b"],
    want: ["duplicate /10.0.0.1 none"],
  },
  {
    when: "two pods say that they use one address",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } },
    reservations: { "10.0.0.1": ours("default/a") },
    pods: ["a net1=10.0.0.1", "b net1=10.0.0.1"],
    want: ["duplicate /10.0.0.1 none"],
  },
  {
    when: "equal addresses are of two networks",
    pools: {
      [POOL]: { range, adopted: true, records: { 1: "default/a" } },
      [RAIL]: { range, adopted: true, records: { 1: "default/b" } },
    },
    reservations: {
      "10.0.0.1": ours("default/a"),
      "rail0-10.0.0.1": { of: "default/b", pool: RAIL, network: "rail0" },
    },
    pods: ["a net1=10.0.0.1", "b net1=10.0.0.1"],
    want: [],
  },
  {
    when: "its pod does not exist",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } },
    reservations: { "10.0.0.1": ours("default/a") },
    want: ["orphan /10.0.0.1 free"],
  },
  {
    when: "its pod has finished",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } },
    reservations: { "10.0.0.1": ours("default/a") },
    pods: ["a Succeeded net1=10.0.0.1"],
    want: ["orphan /10.0.0.1 free"],
  },
  {
    when: "a pod of that name is another one",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } },
    reservations: { "10.0.0.1": ours("default/a", { uid: "uid-of-the-first" }) },
    pods: ["a"],
    want: ["orphan /10.0.0.1 free"],
  },
  {
    when: "a record alone is left of a pod that is gone",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } },
    want: ["orphan /10.0.0.1 free"],
  },
  {
    when: "a living pod has the record of an address that a gone one has reserved",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/b" } } },
    reservations: { "10.0.0.1": ours("default/a") },
    pods: ["b"],
    want: ["orphan /10.0.0.1 free", "unreserved /10.0.0.1 reserve"],
  },
  {
    when: "a living pod uses an address that nobody has",
    pools: { [POOL]: { range, adopted: true } },
    pods: ["a net1=10.0.0.1"],
    want: ["lost /10.0.0.1 reserve"],
  },
  {
    when: "a living pod uses an address that only its record says",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } },
    pods: ["a net1=10.0.0.1"],
    want: ["lost /10.0.0.1 reserve"],
  },
  {
    when: "a finished pod's annotation names an address that nobody has",
    pools: { [POOL]: { range, adopted: true } },
    pods: ["a Failed net1=10.0.0.1"],
    want: [],
  },
  {
    when: "a pod uses an address of no pool",
    pools: { [POOL]: { range, adopted: true } },
    pods: ["a net1=192.168.0.1 net2=fd00::1"],
    want: [],
  },
  {
    when: "a pod uses an address that two networks could mean",
    pools: { [POOL]: { range, adopted: true }, [RAIL]: { range, adopted: true } },
    pods: ["a net1=10.0.0.1"],
    want: [],
  },
  {
    when: "a living pod's record has no reservation in an adopted pool",
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } },
    pods: ["a"],
    want: ["unreserved /10.0.0.1 reserve"],
  },
  {
    when: "no record of a pool that is not adopted has a reservation",
    mode: "coexist",
    pools: { [POOL]: { range, records: { 1: "default/a", 2: "default/b" } } },
    pods: ["a net1=10.0.0.1", "b"],
    want: [],
    notes: 1,
  },
  {
    when: "one record of a pool that is not adopted has no reservation",
    mode: "coexist",
    pools: { [POOL]: { range, records: { 1: "default/a", 2: "default/b" } } },
    reservations: { "10.0.0.1": "default/a" },
    pods: ["a", "b"],
    want: ["unreserved /10.0.0.2 reserve"],
  },
  {
    when: "a reservation beside Whereabouts has no record",
    mode: "coexist",
    pools: { [POOL]: { range } },
    reservations: { "10.0.0.1": ours("default/a") },
    pods: ["a"],
    want: ["unrecorded /10.0.0.1 record"],
  },
  {
    when: "a reservation beside Whereabouts is too young to have a record",
    mode: "coexist",
    pools: { [POOL]: { range } },
    reservations: { "10.0.0.1": ours("default/a", { since: "2026-01-10T11:59:30Z" }) },
    pods: ["a"],
    want: [],
  },
  {
    when: "a reservation of Whereabouts has no record: its sandbox is not known",
    mode: "coexist",
    pools: { [POOL]: { range, records: { 2: "default/b" } } },
    reservations: { "10.0.0.1": "default/a", "10.0.0.2": "default/b" },
    pods: ["a", "b"],
    want: ["unrecorded /10.0.0.1 none"],
  },
  {
    when: "keys are no offsets of the pool",
    pools: { [POOL]: { range, adopted: true, records: { abc: "x/y", "-3": "x/y", "999": "x/y", "1e3": "x/y" } } },
    want: ["stranger / none", "stranger / none", "stranger / none", "stranger / none"],
  },
  {
    when: "a record is somebody's mark",
    pools: { [POOL]: { range, adopted: true, records: { 3: " net1 resv:node-a" } } },
    want: ["stranger /10.0.0.3 none"],
  },
  {
    when: "a reservation is somebody's mark",
    pools: { [POOL]: { range, adopted: true } },
    reservations: { "10.0.0.3": "do-not-use" },
    want: ["stranger /10.0.0.3 none"],
    notes: 1,
  },
  {
    when: "a record says no interface, and its pod and reservation agree",
    mode: "coexist",
    pools: { [POOL]: { range, records: { 5: "default/a -" } } },
    reservations: { "10.0.0.5": "default/a" },
    pods: ["a"],
    want: ["stranger /10.0.0.5 none"],
  },
  {
    when: "a reservation's name is no address",
    reservations: { "rail0-hello": "default/a" },
    pods: ["a"],
    want: ["stranger / none"],
  },
  {
    when: "a pool's name is not that of its range",
    pools: { mine: { range, records: { 1: "default/a" } } },
    pods: ["a"],
    want: ["stranger / none"],
    notes: 1,
  },
  {
    when: "addresses are IPv6, of both spellings",
    mode: "coexist",
    pools: { "fd00---64": { range: "fd00::/64", records: { 1: "default/a", 2: "default/b" } } },
    reservations: { "fd00--1": "default/a", "fd00-0000-0000-0000-0000-0000-0000-0002": "default/gone" },
    pods: ["a net1=fd00:0:0::1", "b"],
    want: ["orphan /fd00::2 free", "unreserved /fd00::2 reserve"],
  },
];

for (const { when, want, notes = 0, ...text } of ROWS)
  t.test(`planAudit() when ${when}: ${want.join(", ") || "nothing"}`, async (t) => {
    const found = audit(text);
    t.same(brief(found.findings), want);
    t.equal(found.notes.length, notes);
  });

t.test("planAudit() never frees what a living pod has, in no state", async (t) => {
  for (const { when, want: _, notes: __, ...text } of ROWS) {
    const living = new Set(stateOf(text).pods.pods.keys());
    for (const { fix, owners, reservation, records } of audit(text).findings.filter(({ fix }) => fix === "free")) {
      t.ok(
        owners.every(({ over }) => over),
        `${when}: every owner is over`,
      );
      const going = [...(reservation ? [reservation.podref] : []), ...records.map(({ record }) => record.podref)];
      const isAnother = (podref: string) => reservation?.podref === podref && reservation.podUid !== "";
      const alive = going.filter((podref) => living.has(podref) && !isAnother(podref));
      const finished = alive.filter((podref) => stateOf(text).pods.pods.get(podref)?.status?.phase === "Running");
      t.same(finished, [], `${when}: ${fix} touches no living pod`);
    }
  }
});

t.test("planAudit() of an orphan leaves what says that a living pod has the address", async (t) => {
  const { findings } = audit({
    pools: { [POOL]: { range, adopted: true, records: { 1: "default/b" } } },
    reservations: { "10.0.0.1": ours("default/a") },
    pods: ["b"],
  });
  const orphan = findings.find(({ kind }) => kind === "orphan")!;
  t.equal(orphan.reservation?.podref, "default/a");
  t.same(orphan.records, []);
  t.match(orphan.why, /default\/a \(net1\) has it: its pod does not exist; default\/b \(net1\) lives and has it too/);
});

t.test("settled() drops what only one of two looks has", async (t) => {
  const text = { pools: { [POOL]: { range, adopted: true, records: { 1: "default/a" } } } };
  const [before, after] = [audit({ ...text, pods: ["a"] }), audit({ ...text, pods: ["a"] })];
  t.same(brief(settled(before, after).findings), ["unreserved /10.0.0.1 reserve"]);
  t.same(settled(audit({}), after).findings, [], "new in the second look");
  t.same(settled(before, audit({})).findings, [], "gone in the second look");
});

for (const { when, reservation, pods = [], state, want, advice } of [
  { when: "its node is gone for good", reservation: ours("default/a"), state: "gone", want: "free", advice: /node-a is gone for good/ },
  { when: "its node is out of service and the pod object is left", reservation: ours("default/a"), pods: ["a Failed"], state: "gone", want: "free", advice: /node-a/ },
  { when: "its node is there", reservation: ours("default/a"), state: "ready", want: "none", advice: /the agent of node-a frees it/ },
  { when: "its node does not answer", reservation: ours("default/a"), state: "down", want: "none", advice: /railnet ipam release 10\.0\.0\.1$/ },
  { when: "nothing names its node and no such pod exists", reservation: "default/a", state: "ready", want: "free", advice: /no such pod exists/ },
  { when: "nothing names its node and the pod has finished", reservation: "default/a", pods: ["a Succeeded"], state: "ready", want: "none", advice: /only a pod that does not exist is proof/ },
] as const) // biome-ignore format: rows
  t.test(`decide() of an orphan when ${when}: ${want}`, async (t) => {
    const [orphan] = audit({
      pools: { [POOL]: { range, adopted: true } },
      reservations: { "10.0.0.1": reservation },
      pods,
    }).findings;
    const { fix, advice: said } = decide(orphan!, () => state);
    t.equal(fix, want);
    t.match(said, advice);
  });
