import t from "tap";
import { TapReader } from "../../lab/run/tap.ts";

/** @returns the counts of an output, and what is wrong with it. */
function read(output: string): { counts: TapReader["counts"]; problems: string[]; shown: string[] } {
  const reader = new TapReader();
  for (const line of output.split("\n")) reader.read(line);
  reader.end();
  return { counts: reader.counts, problems: reader.problems, shown: reader.shown };
}

const sub = (...lines: string[]) => ["# Subtest: a", ...lines.map((line) => `    ${line}`)].join("\n");
const yaml = "  ---\n  diff: |\n    ok 7 - not a point\n    1..9\n  ...";

for (const { what, output, counts = {}, problems = [] } of [
  { what: "points and a plan", output: "ok 1 - a\nok 2\n1..2", counts: { passed: 2 } },
  { what: "a failure, with what looks like points in its diagnosis", output: `not ok 1 - a\n${yaml}\n1..1`, counts: { failed: 1 } },
  { what: "a subtest: its points count, not the one that stands for it", output: `${sub("ok 1", "ok 2", "1..2")}\nok 1 - a\n1..1`, counts: { passed: 2 } },
  { what: "a subtest without points: it passed", output: `${sub("1..0")}\nok 1 - a\n1..1`, counts: { passed: 1 } },
  { what: "a failure in a subtest, once", output: `${sub("ok 1", "not ok 2", "1..2")}\nnot ok 1 - a\n1..1`, counts: { passed: 1, failed: 1 } },
  { what: "a subtest that fails beside one that failed before", output: `not ok 1\n${sub("ok 1", "1..1")}\nnot ok 2 - a\n1..2`, counts: { passed: 1, failed: 2 } },
  { what: "a subtest that passed, it says, although something in it failed", output: `${sub("not ok 1", "1..1")}\nok 1 - a\n1..1`, counts: { failed: 1 }, problems: [/something in it failed/] },
  { what: "skips and todos", output: "ok 1 - a # SKIP no root\nnot ok 2 # TODO later\nok 3\n1..3", counts: { passed: 1, skipped: 2 } },
  { what: "a title that speaks of skips", output: "ok 1 - a \\# SKIP b\n1..1", counts: { passed: 1 } },
  { what: "a file that is skipped", output: "1..0 # SKIP no root", counts: { skipped: 1 } },
  { what: "comments that count otherwise", output: "ok 1 - a\n# { total: 9, pass: 9 }\n1..1", counts: { passed: 1 } },
  { what: "no output", output: "", problems: [/without a plan/, /no tests/] },
  { what: "no tests", output: "1..0 # no tests found", problems: [/no tests/] },
  { what: "an end before the plan", output: "ok 1 - a", counts: { passed: 1 }, problems: [/without a plan/] },
  { what: "an end within a subtest", output: `ok 1 - a\n${sub("ok 1")}`, counts: { passed: 2 }, problems: [/within a subtest/, /planned|without/] },
  { what: "fewer points than planned", output: "1..3\nok 1\nok 2", counts: { passed: 2 }, problems: [/planned 3 tests, and 2 came/] },
  { what: "a subtest of fewer points than planned", output: `${sub("1..2", "ok 1")}\nok 1 - a\n1..1`, counts: { passed: 1 }, problems: [/planned 2 tests, and 1 came/] },
  { what: "a subtest without a plan", output: `${sub("ok 1")}\nok 1 - a\n1..1`, counts: { passed: 1 }, problems: [/has no plan/] },
  { what: "a point that the test printed itself", output: "ok 1 - forged\nok 1 - a\n1..1", counts: { passed: 2 }, problems: [/test point 2 is not/, /planned 1 tests, and 2 came/] },
  { what: "the same with the number that comes next", output: "ok 1 - a\nok 2 - forged\n1..1", counts: { passed: 2 }, problems: [/planned 1/] },
  { what: "a plan that the test printed itself", output: "ok 1 - a\n1..1\nok 2\n1..2", counts: { passed: 2 }, problems: [/a second plan/] },
  { what: "a bail-out", output: "ok 1 - a\nBail out! no more\n1..1", counts: { passed: 1 }, problems: [/Bail out! no more/] },
]) // biome-ignore format: rows
  t.test(`TapReader counts ${what}`, async (t) => {
    const found = read(output);
    t.match(
      found.problems,
      problems.filter((_, i) => i < found.problems.length),
    );
    t.equal(found.problems.length > 0, problems.length > 0, found.problems.join("; "));
    t.same(found.counts, { passed: 0, failed: 0, skipped: 0, ...counts });
  });

t.test("TapReader shows a failure whole, and nothing else", async (t) => {
  const output = `ok 1 - good\nnot ok 2 - bad\n${yaml}\nok 3 - good\nok 4 - left # SKIP no root\n1..4\n# { total: 4 }`;
  t.same(read(output).shown, ["not ok 2 - bad", ...yaml.split("\n"), "ok 4 - left # SKIP no root"]);
});
