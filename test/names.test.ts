// One word, one meaning: what two exported types are called is looked up twice by every reader.
import { globSync, readFileSync } from "node:fs";
import t from "tap";

const EXPORTED = /^export\s+(?:abstract\s+)?(?:type|interface|class|enum)\s+(\w+)/gm;

t.test("no two exported types of the product have one name", async (t) => {
  const files = new Map<string, string[]>();
  for (const file of globSync("{kernel,records,kubernetes,cni,ipam,daemonset,cli}/**/*.ts").sort())
    for (const [, name] of readFileSync(file, "utf8").matchAll(EXPORTED))
      files.set(name!, [...(files.get(name!) ?? []), file]);
  t.ok(files.size > 200, "they are found");
  t.same(
    [...files].filter(([, where]) => where.length > 1),
    [],
  );
});
