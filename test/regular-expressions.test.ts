import { globSync, readFileSync } from "node:fs";
import t from "tap";
import { type Growth, growthOf } from "./regular-expressions/backtracking.ts";
import { type Literal, literalsOf } from "./regular-expressions/literals.ts";

for (const [source, want] of [
  ["^(a+)+$", "exponential"],
  ["^(\\s*(#.*)?\\n?)*$", "exponential"],
  ["^(a|a)*$", "exponential"],
  ["^(\\w+\\s?)*$", "exponential"],
  ["^(a?b?)*$", "linear"],
  ["\\s+$", "polynomial"],
  ["^\\s*.*$", "polynomial"],
  ["^a+a+$", "polynomial"],
  ["^(?=(a|aa)+$)", "exponential"],
  ["^[a-z]+(?:-[a-z]+)*$", "linear"],
  ["^([a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?)$", "linear"],
  ["^\\d{1,3}(?:\\.\\d{1,3}){3}$", "linear"],
] as const)
  t.test(`growthOf() of ${source} is ${want}`, async (t) => {
    t.equal(growthOf(source, ""), want);
  });

/** Why one that looks polynomial is none, or never meets more than a few characters. */
const ALLOWED: Record<string, string> = {
  "(?<![\\da-fA-F])0+(?=[\\da-fA-F])": "what it looks behind for lets it begin once in a run of zeros",
  "(?<![^:])0(:0)+(?![^:])": "of the eight groups of an address",
  "\\(NEEDED\\)\\s+Shared library: \\[([^\\]]+)\\]": "of readelf(1), when an image is built",
};

const product = globSync(["main.ts", "{kernel,records,kubernetes,cni,ipam,daemonset,cli,library}/**/*.ts"]);
const rest = globSync("{bench,scripts,test}/**/*.ts");
const at = ({ path, line, source, flags }: Literal) => `${path}:${line}: /${source}/${flags}`;
const growing = (files: readonly string[], ...growths: Growth[]): string[] =>
  files
    .flatMap((path) => [...literalsOf(path), ...(product.includes(path) ? composedOf(path) : [])])
    .filter(({ source, flags }) => !(source in ALLOWED) && growths.includes(growthOf(source, flags)))
    .map(at);

/** `new RegExp()` of the file's own constants. */
function composedOf(path: string): Literal[] {
  const text = readFileSync(path, "utf8");
  const constant = (name: string): string =>
    JSON.parse(`"${new RegExp(`^const ${name} = "(.*)";$`, "m").exec(text)![1]}"`);
  return [...text.matchAll(/new RegExp\(`([^`]*)`\)/g)].map(([, source]) => {
    const filled = source!.replaceAll("\\\\", "\\").replace(/\$\{(\w+)\}/g, (_, name) => constant(name));
    return { path, line: 0, source: filled, flags: "" };
  });
}

t.test("literalsOf() finds regular expressions and nothing else", async (t) => {
  const text =
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a text with a template in it
    'const a = b / c / d; // /no/\nf(/x[/]y/gi, "/no/", `/no/${/in/.test(`/no/`)} /no/`); if (a) return /z\\//;\n/* /no/ */';
  t.same(
    literalsOf("a.ts", text).map(({ line, source, flags }) => `${line} ${source} ${flags}`),
    ["2 x[/]y gi", "2 in ", "2 z\\/ "],
  );
  const all = [...product, ...rest].flatMap((path) => literalsOf(path));
  t.ok(all.length > 300, `${all.length} in all`);
  t.doesNotThrow(() => {
    for (const { source, flags } of all) new RegExp(source, flags);
  }, "each is one");
});

t.test("no regular expression of the product takes more than linear time to fail, whatever it is given", async (t) => {
  t.same(growing(product, "polynomial", "exponential"), []);
});

t.test("none of tests, benches and scripts takes exponential time", async (t) => {
  t.same(growing(rest, "exponential"), []);
});

t.test("the product composes regular expressions of constants alone", async (t) => {
  const composed = product.filter((path) => /new RegExp\(/.test(readFileSync(path, "utf8")));
  t.same(composed.sort(), ["cni/protocol/ip.ts", "ipam/whereabouts/names.ts"]);
  t.same(
    composed.map((path) => composedOf(path).length),
    [1, 1],
  );
});
