import { existsSync, globSync, readFileSync } from "node:fs";
import { load } from "js-yaml";
import t from "tap";
import type { Json } from "../../lab/cluster/raw.ts";

const yaml = (file: string): Json => load(readFileSync(file, "utf8"));

t.test("the workflow runs .ci/run, and asks for no right but to read", async (t) => {
  const { jobs, permissions } = yaml(".github/workflows/ci.yaml");
  t.same(permissions, { contents: "read" });
  const runs = Object.values<Json>(jobs).flatMap(({ steps }) => steps.map(({ run = "" }: Json) => run));
  t.ok(runs.some((run: string) => run.split("\n").some((line) => line.trim() === ".ci/run")));
  const cached = readFileSync(".github/workflows/ci.yaml", "utf8").match(/hashFiles\(([^)]*)\)/)?.[1] ?? "";
  const named = [...cached.matchAll(/'([^']+)'/g)].map(([, path]) => path!.replace("/**", ""));
  t.ok(named.length >= 3);
  t.same(
    named.filter((path) => !existsSync(path)),
    [],
    "what the cache depends on is there",
  );
});

t.test("issue templates are forms as GitHub reads them", async (t) => {
  const files = globSync(".github/ISSUE_TEMPLATE/*.yaml");
  t.ok(files.length >= 2);
  for (const file of files) {
    const { name, description, body } = yaml(file);
    t.ok(name && description, file);
    for (const { type, id, attributes } of body) {
      t.ok(["markdown", "textarea", "input"].includes(type), `${file}: ${type}`);
      t.ok(type === "markdown" ? attributes.value : id && attributes.label, `${file}: ${id}`);
    }
  }
  const fault = yaml(".github/ISSUE_TEMPLATE/fault.yaml");
  const sysdump = fault.body.find(({ id }: Json) => id === "sysdump");
  t.match(sysdump.attributes.label, /railnet sysdump/);
  t.equal(sysdump.validations.required, true);
});
