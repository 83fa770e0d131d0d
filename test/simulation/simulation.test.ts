import t from "tap";
import { simulate } from "./children.ts";

/** The first seed: the same ones in every run, unless `random` is asked for; it is printed. */
const asked = process.env["RAILNET_SIMULATION_SEED"];
const first = asked === "random" ? Math.floor(Math.random() * 1e9) : Number(asked ?? 1);
/** No more seeds are begun when there were so many steps, or so much time is over. */
const steps =
  process.env["RAILNET_SIMULATION_STEPS"] ?? (process.env["RAILNET_SIMULATION_SECONDS"] ? "Infinity" : "1000000");
const seconds = process.env["RAILNET_SIMULATION_SECONDS"] ?? "120";

t.test(`seeds from ${first}: no rule is broken`, async (t) => {
  const limits = ["--count", "1000000", "--steps", steps, "--seconds", seconds];
  const { code, output } = await simulate(["--from", String(first), ...limits]);
  t.equal(code, 0, output);
  t.comment(output.trim().split("\n").slice(-2).join("; "));
});

t.test("what once broke a rule does so no more", async (t) => {
  const { code, output } = await simulate(["--regressions"]);
  t.equal(code, 0, output);
});

t.test("two runs of a seed have the same hash", async (t) => {
  const asked = [["--seed", "1,2,3,4,5,6"], ...["hands", "coexist"].map((name) => ["--seed", "4", "--profile", name])];
  const hashes = async () => {
    const outputs = await Promise.all(asked.map((args) => simulate(args)));
    return outputs.flatMap(({ output }) => [...output.matchAll(/hash ([0-9a-f]{8})/g)].map(([, hash]) => hash));
  };
  const one = await hashes();
  t.equal(new Set(one).size, 8);
  t.same(await hashes(), one);
});
