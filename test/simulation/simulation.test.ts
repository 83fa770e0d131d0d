import t from "tap";
import { simulate } from "./children.ts";

/** The same ones in every run; a fresh first one, which is printed, with RAILNET_SIMULATION_SEED=random. */
const asked = process.env["RAILNET_SIMULATION_SEED"];
const first = asked === "random" ? Math.floor(Math.random() * 1e9) : Number(asked ?? 1);
const seeds = Number(process.env["RAILNET_SIMULATION_SEEDS"] ?? 150);
/** No more seeds are begun then. */
const seconds = Number(process.env["RAILNET_SIMULATION_SECONDS"] ?? 25);

t.test(`seeds from ${first}: no rule is broken by crashes, partitions and storms`, async (t) => {
  const range = ["--from", String(first), "--count", String(seeds), "--seconds", String(seconds)];
  const { code, output } = await simulate([...range, "--profile", "rough"]);
  t.equal(code, 0, output);
  t.comment(output.trim().split("\n").at(-2));
});

t.test("two runs of a seed have the same hash", async (t) => {
  const hashOf = async () =>
    /hash ([0-9a-f]{8})/.exec((await simulate(["--seed", "7", "--profile", "hands"])).output)?.[1];
  const [one, other] = await Promise.all([hashOf(), hashOf()]);
  t.match(one, /^[0-9a-f]{8}$/);
  t.equal(one, other);
});
