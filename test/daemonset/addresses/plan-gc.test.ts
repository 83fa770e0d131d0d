import t from "tap";
import { podIsOver } from "../../../daemonset/addresses/evidence.ts";
import { type GcFinding, planGc, type Suspicions } from "../../../daemonset/addresses/plan-gc.ts";
import * as fc from "../../../lab/properties.ts";

const finding = (name: string, resourceVersion: string, uid = "u"): GcFinding => ({
  evidence: "its pod does not exist",
  reserved: {
    metadata: { name, namespace: "kube-system", uid, resourceVersion },
    podref: "x/a",
    ifname: "net1",
    containerId: "c",
    podUid: "",
    node: "",
    pool: "",
    network: "",
  },
});

interface Look {
  atMs: number;
  found: GcFinding[];
  unseen?: string[];
}

for (const { when, looks, due } of [
  { when: "at the first look", looks: [{ atMs: 0, found: [finding("r", "1")] }], due: [] },
  {
    when: "at a second look that comes early",
    looks: [
      { atMs: 0, found: [finding("r", "1")] },
      { atMs: 59, found: [finding("r", "1")] },
    ],
    due: [],
  },
  {
    when: "at a second look in time",
    looks: [
      { atMs: 0, found: [finding("r", "1")] },
      { atMs: 60, found: [finding("r", "1")] },
    ],
    due: ["r"],
  },
  {
    when: "which has changed meanwhile",
    looks: [
      { atMs: 0, found: [finding("r", "1")] },
      { atMs: 60, found: [finding("r", "2")] },
    ],
    due: [],
  },
  {
    when: "which was made anew meanwhile",
    looks: [
      { atMs: 0, found: [finding("r", "1")] },
      { atMs: 60, found: [finding("r", "1", "v")] },
    ],
    due: [],
  },
  {
    when: "which was alive in between",
    looks: [
      { atMs: 0, found: [finding("r", "1")] },
      { atMs: 30, found: [] },
      { atMs: 60, found: [finding("r", "1")] },
    ],
    due: [],
  },
  {
    when: "which was left out in between",
    looks: [
      { atMs: 0, found: [finding("r", "1")] },
      { atMs: 30, found: [], unseen: ["r"] },
      { atMs: 60, found: [finding("r", "1")] },
    ],
    due: ["r"],
  },
] as { when: string; looks: Look[]; due: string[] }[])
  t.test(`planGc() of a reservation ${when}: ${due.length > 0 ? "it goes" : "it stays"}`, async (t) => {
    let suspicions: Suspicions = new Map();
    let last: string[] = [];
    for (const { atMs, found, unseen = [] } of looks) {
      const plan = planGc(suspicions, found, { nowMs: atMs, graceMs: 60, unseen: new Set(unseen) });
      suspicions = plan.suspicions;
      last = plan.due.map(({ reserved }) => reserved.metadata.name);
    }
    t.same(last, due);
  });

t.test("planGc() never lets go what was found fewer than two times in the same state", async (t) => {
  const look = fc.record({
    stepMs: fc.integer({ min: 0, max: 40 }),
    found: fc.boolean(),
    version: fc.constantFrom("1", "2"),
  });
  fc.assert(
    fc.property(fc.array(look, { maxLength: 30 }), (looks) => {
      let suspicions: Suspicions = new Map();
      let nowMs = 0;
      let since: { version: string; atMs: number } | undefined;
      for (const { stepMs, found, version } of looks) {
        nowMs += stepMs;
        const plan = planGc(suspicions, found ? [finding("r", version)] : [], { nowMs, graceMs: 60 });
        suspicions = plan.suspicions;
        const isSecond = found && since?.version === version;
        if (!isSecond) since = found ? { version, atMs: nowMs } : undefined;
        if (plan.due.length > 0 !== (isSecond && nowMs - since!.atMs >= 60)) return false;
      }
      return true;
    }),
  );
  t.pass();
});

for (const { when, pod, uid = "", want } of [
  { when: "there is none", pod: undefined, want: "its pod does not exist" },
  { when: "it runs", pod: { phase: "Running" }, uid: "u1", want: undefined },
  { when: "it is pending", pod: { phase: "Pending" }, want: undefined },
  { when: "it has no status yet", pod: {}, want: undefined },
  {
    when: "it is another one",
    pod: { phase: "Running" },
    uid: "u0",
    want: "its pod is gone, and another of the same name has UID u1",
  },
  { when: "nobody knows which one it was", pod: { phase: "Running" }, want: undefined },
  { when: "it has succeeded", pod: { phase: "Succeeded" }, want: "its pod has finished: Succeeded" },
  { when: "it has failed", pod: { phase: "Failed" }, want: "its pod has finished: Failed" },
  { when: "it is terminating", pod: { phase: "Running", deletionTimestamp: "2026-01-01T00:00:00Z" }, want: undefined },
] as { when: string; pod?: { phase?: string; deletionTimestamp?: string }; uid?: string; want?: string }[])
  t.test(`podIsOver() of a pod when ${when}`, async (t) => {
    const { phase, deletionTimestamp } = pod ?? {};
    const metadata = { name: "a", uid: "u1", ...(deletionTimestamp && { deletionTimestamp }) };
    t.equal(podIsOver(pod && { metadata, ...(phase && { status: { phase } }) }, uid), want);
  });
