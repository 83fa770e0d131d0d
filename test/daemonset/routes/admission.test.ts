import assert from "node:assert/strict";
import t from "tap";
import { Admission } from "../../../daemonset/routes/admission.ts";
import * as fc from "../../../lab/properties.ts";

/** Runs in virtual time; peers answer as `answers` says. */
function run(
  admission: Admission,
  fromMs: number,
  toMs: number,
  answers: (way: number, atMs: number) => boolean,
  isAlive: (way: number, atMs: number) => boolean = () => true,
) {
  const said: { way: number; isUsed: boolean; atMs: number }[] = [];
  let questions = 0;
  for (let at = fromMs; at < toMs; at += 50) {
    const { ask, verdicts } = admission.tick(at, (way) => isAlive(way, at));
    questions += ask.length;
    said.push(...verdicts.map((verdict) => ({ ...verdict, atMs: at })));
    for (const way of ask) if (answers(way, at)) admission.answered(way);
  }
  return { said, questions };
}

t.test("Admission asks new ways at once, and uses none before it has answered", async (t) => {
  const admission = new Admission([false, false], 0);
  t.equal(admission.isAdmitted(0), false);
  const { said } = run(admission, 0, 1_000, (way) => way === 0);
  t.same(said.map(({ way, isUsed }) => [way, isUsed]), [[0, true]]); // biome-ignore format: one row
  t.equal(admission.isAdmitted(1), false);
});

t.test(
  "Admission takes out a way that an agent before this one has left, when it is refused three times",
  async (t) => {
    const admission = new Admission([true], 0);
    const { said } = run(admission, 0, 10_000, () => false);
    t.same(said.map(({ isUsed }) => isUsed), [false]); // biome-ignore format: one row
    t.ok(said[0]!.atMs >= 3_000 && said[0]!.atMs <= 4_000);
    t.same(run(admission, 10_000, 20_000, () => true).said.map(({ isUsed }) => isUsed), [true]); // biome-ignore format: one row
  },
);

t.test("Admission blames no way for what its rail, or one lost packet, has lost", async () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 200, max: 60_000 }), (every, downMs) => {
      const admission = new Admission([true, true, true], 0);
      let n = 0;
      const isAlive = (way: number, at: number) => way !== 1 || at < downMs || at > downMs + 5_000;
      const { said } = run(
        admission,
        0,
        120_000,
        (way, at) => isAlive(way, at) && (way === 1 || n++ % every !== 0),
        isAlive,
      );
      assert.deepEqual(said, []);
    }),
    { numRuns: 30 },
  );
});

t.test("Admission asks no more than its budget, and every way in turn", async (t) => {
  const count = 4_000;
  const admission = new Admission(Array(count).fill(false), 0);
  const { said, questions } = run(admission, 0, 5_000, () => true);
  t.equal(said.length, count);
  t.ok(questions <= 5_000);
  t.ok(run(admission, 5_000, 65_000, () => true).questions <= count * 2.5, "then seldom");
});
