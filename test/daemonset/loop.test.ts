// What runs again and again, and how it ends.
import t from "tap";
import { absentMs, beforeAbort, pause, repeat } from "../../daemonset/loop.ts";

const alive = setInterval(() => {}, 1000); // pauses do not keep a process alive
t.teardown(() => clearInterval(alive));

const logTo = (warned: unknown[]) => ({
  debug() {},
  info() {},
  warn: (fields: object, message: string) => warned.push([fields, message]),
});

t.test("repeat() goes on after a run that fails, says so, and ends with its signal", async (t) => {
  const ending = new AbortController();
  const warned: unknown[] = [];
  let runs = 0;
  await repeat("looking", { everyMs: 1, signal: ending.signal, log: logTo(warned) as never }, async () => {
    if (++runs === 4) ending.abort();
    if (runs % 2 === 0) throw new Error(`run ${runs}`);
  });
  t.equal(runs, 4);
  t.match(warned, [[{ what: "looking", err: { message: "run 2" } }, "background work failed; retrying"]]);
  t.equal(warned.length, 1, "what ends with the signal is no failure");
  await repeat("looking", { everyMs: 1, signal: ending.signal, log: logTo(warned) as never }, async () => {
    t.fail("it is over");
  });
}); // biome-ignore format: rows

t.test("repeat() rests between two runs, more or less as long as it was told", async (t) => {
  const ending = new AbortController();
  const begins: number[] = [];
  await repeat("resting", { everyMs: 40, signal: ending.signal, log: logTo([]) as never }, async () => {
    if (begins.push(performance.now()) === 3) ending.abort();
  });
  for (const i of [1, 2]) t.ok(begins[i]! - begins[i - 1]! >= 0.9 * 40 - 2, `${begins[i]! - begins[i - 1]!} ms`);
});

t.test("absentMs() begins soon, and ends at half an hour", async (t) => {
  t.same([0, 1, 2, 7, 8, 100].map(absentMs), [10_000, 20_000, 40_000, 1_280_000, 1_800_000, 1_800_000]); // biome-ignore format: one row
});

t.test("pause() and beforeAbort() end with their signal", async (t) => {
  const ending = new AbortController();
  const never = new Promise<void>(() => {});
  const waits = Promise.all([pause(60_000, ending.signal), beforeAbort(never, ending.signal)]);
  ending.abort();
  t.same(await waits, [undefined, false]);
  t.equal(await beforeAbort(never, ending.signal), false, "also one that is over already");
  const { signal } = new AbortController();
  t.equal(await beforeAbort(Promise.resolve(7), signal), true);
  await t.rejects(beforeAbort(Promise.reject(new Error("no")), signal), { message: "no" });
});
