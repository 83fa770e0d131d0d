// Random tests take their numbers from the run's seed, so that what failed can be repeated.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { assert, constant, integer, property } from "../lab/properties.ts";
import { fileSeed, seedsOf } from "../lab/seed.ts";

t.test("no random test chooses its numbers itself", async (t) => {
  const files = globSync(["test/**/*.ts", "lab/**/*.ts"]).filter(
    (file) => !["test/seeds.test.ts", "lab/properties.ts", "lab/run/options.ts"].includes(file),
  );
  const own = /from "fast-check"|Date\.now\(\) %|seed[^\n]*Date\.now\(\)|seed[^\n]*Math\.random\(\)/i;
  t.same(
    files.filter((file) => own.test(readFileSync(file, "utf8"))),
    [],
  );
});

t.test("fileSeed() is another one for another file and another run, and else the same", async (t) => {
  const seeds = [fileSeed("test/a.test.ts", 1), fileSeed("test/b.test.ts", 1), fileSeed("test/a.test.ts", 2)];
  t.equal(new Set(seeds).size, 3);
  t.equal(fileSeed("test/a.test.ts", 1), seeds[0]);
  t.ok(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31));
});

t.test("seedsOf() gives what failed once, then the run's", async (t) => {
  const list = join(
    t.testdir({
      "seeds.tsv": "# path\ntest/a.test.ts\t17\t2026-11-30, x\ntest/b.test.ts\t18\t\ntest/a.test.ts\t19\t\n",
    }),
    "seeds.tsv",
  );
  const fresh = fileSeed("test/a.test.ts");
  t.same(seedsOf(2, "test/a.test.ts", list), [17, 19, fresh, fresh + 1]);
});

t.test("assert() of a property takes the file's seed, and the same cases with it", async (t) => {
  const cases = () => {
    const seen: number[] = [];
    assert(
      property(integer(), (n) => void seen.push(n)),
      { numRuns: 20 },
    );
    return seen;
  };
  t.same(cases(), cases());
  t.throws(() => assert(property(constant(1), () => false)), new RegExp(`seed: ${fileSeed()}`));
});
