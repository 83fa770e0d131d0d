import t from "tap";
import { patienceMs } from "../../../daemonset/addresses/leader/gone-nodes.ts";
import { fenceAfterMs, isLate, planFence } from "../../../daemonset/addresses/node/plan-fence.ts";
import { REPORT_MS } from "../../../daemonset/addresses/node/report.ts";

const PATIENCE_MS = patienceMs();
const up = { name: "up", isOfCluster: true, isFenced: false };
const down = { name: "down", isOfCluster: true, isFenced: true };
const others = { name: "another plugin's addresses", isOfCluster: false, isFenced: false };
const released = { name: "its DEL has begun", isOfCluster: false, isFenced: true };
const all = [up, down, others, released];

t.test("planFence() takes down what has addresses of the cluster, before the leader gives them away", async (t) => {
  const silentMs = fenceAfterMs(PATIENCE_MS);
  t.ok(silentMs < PATIENCE_MS && silentMs >= 2 * REPORT_MS, "one report that fails does not fence");
  const now = { isOn: true, silentMs, patienceMs: PATIENCE_MS };
  t.same(planFence(all, now), { fence: [up, down], lift: [] });
  t.same(planFence(all, { ...now, silentMs: silentMs - 1 }), { fence: [], lift: [down, released] });
});

t.test("planFence() with the fence off takes nothing down, and lets up what is", async (t) => {
  const now = { isOn: false, silentMs: 10 * PATIENCE_MS, patienceMs: PATIENCE_MS };
  t.same(planFence(all, now), { fence: [], lift: [down, released] });
});

t.test("isLate() leaves time for several tries before the fence", async (t) => {
  t.notOk(isLate(REPORT_MS * 1.1, PATIENCE_MS), "the next report is just due: its pause is a tenth longer at the most");
  t.ok(isLate(fenceAfterMs(PATIENCE_MS) - 100_000, PATIENCE_MS));
  t.ok(isLate(patienceMs(1_000) / 2, patienceMs(1_000)), "also with a short patience");
});
