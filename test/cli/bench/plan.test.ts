import t from "tap";
import { type MeasuredEnd, measurePlan, type PlanTask } from "../../../cli/bench/rdma/measure-plan.ts";
import type { ShellReply } from "../../../cli/bench/rdma/place.ts";
import { cellsIn, type PlanStep, planOf } from "../../../cli/bench/rdma/plan.ts";
import { PlaceError } from "../../../cli/bench/rdma/pod-place.ts";
import type { Cell } from "../../../cli/bench/rdma/results.ts";
import { parseSurvey } from "../../../cli/bench/rdma/survey.ts";
import { TimeLeft } from "../../../cli/bench/rdma/time-left.ts";

const RAILS = ["rail0", "rail1"];
const NONE = { hasLatency: false, hasSweep: false, atOnce: false, incast: false, random: () => 0 };
const plan = { ...NONE, ends: 4, rails: RAILS, sides: ["pod"] as const, tests: ["write"] as const };

t.test("planOf() measures hosts first, rail by rail, then all at once, then all to one", async (t) => {
  const steps = planOf({ ...plan, sides: ["host", "pod"], tests: ["write", "read"], hasLatency: true, hasSweep: true, atOnce: true, incast: true }); // biome-ignore format: one row
  t.same([...new Set(steps.map(({ side, mode }) => `${side} ${mode}`))], ["host alone", "host at-once", "host incast", "pod alone", "pod at-once", "pod incast"]); // biome-ignore format: one row
  t.equal(cellsIn(steps), 2 * (2 * 12 * 2 + 2 * 12 + 2 * 4 * 3));
  t.ok(steps.every(({ test, hasLatency }) => !hasLatency || test === "write"));
  t.equal(steps.filter(({ hasSweep }) => hasSweep).length, 2 * 2 * 2, "the first round of each rail");
});

/** An end whose commands answer as `sh` says; two rails with RDMA. */
function endWith(i: number, sh: (text: string) => Promise<ShellReply>): MeasuredEnd {
  const rail = (r: number) => `address 5: net${r + 1}    inet 192.168.${r}.${i + 1}/24 scope global net${r + 1}
gid dev${r} 1 3 0000:0000:0000:0000:0000:ffff:c0a8:0${r}0${i + 1} net${r + 1} RoCE v2`;
  const survey = parseSurvey(`program ip\nprogram ib_write_bw\n${rail(0)}\n${rail(1)}\n`);
  const rails = new Map(RAILS.map((name, r) => [name, `net${r + 1}`]));
  return { name: `node-${i}`, place: { name: `node-${i}`, sh: (text, { signal }) => abortable(sh(text), signal) }, survey, rails }; // biome-ignore format: one row
}

const abortable = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  Promise.race([
    work,
    new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  ]);

const OUTPUT = `---------------------
                    RDMA_Write BW Test
 Mtu             : 4096[B]
 #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]
 65536      3641288          0.00               196.43 		     0.374660
---------------------
`;
const good = async (): Promise<ShellReply> => ({ exit: 0, stdout: OUTPUT, stderr: "" });
const gone = (): Promise<ShellReply> => Promise.reject(new PlaceError("no end within 120 ms (ETIMEDOUT)"));

const run = (steps: readonly PlanStep[], ends: readonly (MeasuredEnd | { name: string; error: string })[], more: Partial<PlanTask> = {}) => // biome-ignore format: one row
  measurePlan(steps, (_, i) => ends[i]!, { bandwidth: "", latency: "", sweep: "", tcpSeconds: 1, signal: new AbortController().signal, limitMs: 1000, atOnce: 64, probeMs: 100, onCell: () => {}, ...more }); // biome-ignore format: one row
const failed = (cells: readonly Cell[]) => cells.filter(({ error }) => error !== undefined);

t.test("measurePlan() has a cell for every way", async (t) => {
  const steps = planOf({ ...plan, atOnce: true, incast: true });
  const cells = await run(
    steps,
    [0, 1, 2, 3].map((i) => endWith(i, good)),
  );
  t.equal(cells.length, cellsIn(steps));
  t.same(failed(cells), []);
  t.match(cells[0], { gbps: 196.43, mtuBytes: 4096, transport: "rdma" });
});

t.test("measurePlan() gives up a lost node after one run, and measures the others", async (t) => {
  let asked = 0;
  const lost = endWith(2, () => {
    asked++;
    return gone();
  });
  const ends = [endWith(0, good), endWith(1, good), lost, endWith(3, good)];
  const cells = await run(planOf(plan), ends);
  t.equal(cells.length, 24);
  t.ok(failed(cells).every(({ from, to }) => from === "node-2" || to === "node-2"));
  t.equal(failed(cells).length, 12);
  t.equal(failed(cells).filter(({ error }) => /node-2 was lost: no end within/.test(error!)).length, 11, "all but the first"); // biome-ignore format: one row
  t.ok(asked <= 4, `it was asked ${asked} times`);
});

t.test("measurePlan() says of an end that could not take part why, and of an error what it was", async (t) => {
  const bad = endWith(1, async (text) =>
    text.startsWith("exec") ? { exit: 1, stdout: "", stderr: "no route" } : good(),
  );
  const cells = await run(planOf({ ...plan, ends: 3 }), [endWith(0, good), bad, { name: "node-2", error: "no pod" }]);
  t.equal(failed(cells).filter(({ error }) => error === "no pod").length, 8);
  t.equal(failed(cells).filter(({ error }) => /on node-1: no route \(exit 1\)/.test(error!)).length, 4);
});

t.test("measurePlan() ends at once when it is aborted", async (t) => {
  const stop = new AbortController();
  const never = () => new Promise<ShellReply>(() => {});
  const running = run(
    planOf(plan),
    [0, 1, 2, 3].map((i) => endWith(i, never)),
    { signal: stop.signal, atOnce: 1 },
  );
  stop.abort(new Error("interrupted"));
  await t.rejects(running, { message: "interrupted" });
});

t.test("TimeLeft tells seconds, minutes and hours by what was done", async (t) => {
  let now = 0;
  const left = new TimeLeft(100, () => now);
  t.equal(left.after(0), "time left is not known yet");
  for (const [ms, done, want] of [
    [10_000, 50, "about 10 s left"],
    [60_000, 10, "about 9 min left"],
    [3_600_000, 10, "about 9.0 h left"],
    [10_000, 100, "about 0 s left"],
  ] as const) {
    now = ms;
    t.equal(left.after(done), want);
  }
});
