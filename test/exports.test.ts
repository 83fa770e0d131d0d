// What of the product runs and is exported is used by another file; types may be named by whoever likes to.
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import t from "tap";

const PRODUCT = "{kernel,records,kubernetes,cni,ipam,daemonset,cli}/**/*.ts";
const EXPORTED = /^export\s+(?:abstract\s+|async\s+)*(?:class|enum|const|let|function\*?)\s+(\w+)/gm;
const NAMED = /\b(?:import|export)\s+(?:type\s+)?\{([^}]*)\}\s*from\s*["']([^"']+)["']/g;
/** `await import("./x.ts")`, `typeof import(…)`, a Worker's entry: whatever the file exports may be used. */
const WHOLE = /\b(?:import|URL)\s*\(\s*["']([^"']+\.ts)["']|\bimport\s+\*\s+as\s+\w+\s+from\s*["']([^"']+)["']/g;

const all = globSync([
  "*.ts",
  "{kernel,records,kubernetes,cni,ipam,daemonset,cli,library,lab,test,bench,scripts}/**/*.ts",
]);
const used = new Set<string>();
const usedWhole = new Set<string>();

for (const file of all) {
  const text = readFileSync(file, "utf8");
  const target = (specifier: string) => normalize(join(dirname(file), specifier));
  for (const [, names, specifier] of text.matchAll(NAMED))
    for (const name of names!.split(",")) {
      const [word] = name
        .replace(/\btype\s/, "")
        .trim()
        .split(/\s+as\s+/);
      if (word) used.add(`${target(specifier!)} ${word}`);
    }
  for (const [, one, other] of text.matchAll(WHOLE)) usedWhole.add(target((one ?? other)!));
}

t.test("nothing of the product is exported that no other file imports", async (t) => {
  const idle = globSync(PRODUCT)
    .sort()
    .filter((file) => !usedWhole.has(normalize(file)))
    .flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(EXPORTED)]
        .map(([, name]) => name!)
        .filter((name) => !used.has(`${normalize(file)} ${name}`))
        .map((name) => `${file}: ${name}`),
    );
  t.same(idle, []);
});
