import { readFileSync } from "node:fs";
import t from "tap";
import { MUTATIONS } from "../../lab/simulation/mutations/all.ts";
import { simulate } from "./children.ts";

t.test("every mutation can be planted: its text stands in its file, once", async (t) => {
  const broken = MUTATIONS.filter(({ file, from }) => readFileSync(file, "utf8").split(from).length !== 2);
  t.same(
    broken.map(({ name, file }) => `${file}: ${name}`),
    [],
  );
  t.equal(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length, "each by its own name");
});

t.test("a planted fault is found, and told with its seed", async (t) => {
  const {
    name: _,
    profiles: __,
    ...edit
  } = MUTATIONS.find(({ name }) => name === "an address that is there counts as made")!;
  const args = ["--profile", "everyday", "--count", "5", "--first-only"];
  const { code, output } = await simulate(args, { RAILNET_MUTATION: JSON.stringify([edit]) });
  t.equal(code, 1);
  t.match(output, /^seed \d+: .+ \(everyday, \d+ steps, hash [0-9a-f]{8}/m);
});
