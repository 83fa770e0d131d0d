import t from "tap";
import { simulate } from "./children.ts";

/** The first seed: the same ones in every run, unless `random` is asked for; it is printed. */
const asked = process.env["RAILNET_SIMULATION_SEED"];
const first = asked === "random" ? Math.floor(Math.random() * 1e9) : Number(asked ?? 1);
const seeds = process.env["RAILNET_SIMULATION_SEEDS"] ?? "20";
/** No more seeds are begun then. */
const seconds = process.env["RAILNET_SIMULATION_SECONDS"] ?? "25";

t.test(`seeds from ${first}: no rule is broken`, async (t) => {
  const { code, output } = await simulate(["--from", String(first), "--count", seeds, "--seconds", seconds]);
  t.equal(code, 0, output);
  t.comment(output.trim().split("\n").slice(-2).join("; "));
});

t.test("what once broke a rule does so no more", async (t) => {
  const { code, output } = await simulate(["--regressions"]);
  t.equal(code, 0, output);
});

t.test("two runs of a seed have the same hash", async (t) => {
  const hashOf = async () =>
    /hash ([0-9a-f]{8})/.exec((await simulate(["--seed", "7", "--profile", "restarts"])).output)?.[1];
  const [one, other] = await Promise.all([hashOf(), hashOf()]);
  t.match(one, /^[0-9a-f]{8}$/);
  t.equal(one, other);
});
