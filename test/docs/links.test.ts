import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import t from "tap";
import { anchorsOf, linksOf, type Page, pageOf, pages } from "./support/markdown.ts";

/** Why a link leads nowhere; undefined for a good one, and for other sites, which are not asked. */
function whyBroken(page: Page, to: string): string | undefined {
  if (/^(https?|mailto):/.test(to)) return undefined;
  const [path = "", anchor] = to.split("#");
  const target = path ? normalize(join(dirname(page.file), decodeURIComponent(path))) : page.file;
  if (target.startsWith("..")) return "it leads out of the project";
  if (!existsSync(target)) return `there is no ${target}`;
  if (anchor === undefined) return undefined;
  if (!target.endsWith(".md")) return "anchors are checked in Markdown only";
  return anchorsOf(pageOf(target)).has(anchor) ? undefined : `${target} has no heading for #${anchor}`;
}

t.test("the pages are found", async (t) => {
  for (const file of [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/errors.md",
    "test/README.md",
  ])
    t.ok(pageOf(file).text.length > 200, file);
  t.ok(linksOf(pageOf("README.md")).length > 12, "and their links");
});

t.test("anchorsOf() makes anchors as GitHub does", async (t) => {
  const prose = "# A node: node.json\n## `x` & *y*\n## [Link](a.md) – 2\n## Same\n## Same\n## a_b-c\n";
  t.same(
    [...anchorsOf({ file: "x.md", text: prose, blocks: [], prose })],
    ["a-node-nodejson", "x--y", "link--2", "same", "same-1", "a_b-c"],
  );
});

for (const page of pages)
  t.test(`links of ${page.file} lead somewhere`, async (t) => {
    const broken = linksOf(page).flatMap(({ line, to }) => {
      const why = whyBroken(page, to);
      return why ? [`${page.file}:${line}: ${to}: ${why}`] : [];
    });
    t.same(broken, []);
  });

t.test("every page of docs/ is reached from README.md", async (t) => {
  const reached = new Set(["README.md"]);
  for (const file of reached)
    for (const { to } of linksOf(pageOf(file))) {
      const target = normalize(join(dirname(file), to.split("#")[0]!));
      if (pages.some((page) => page.file === target)) reached.add(target);
    }
  t.same(
    pages.map(({ file }) => file).filter((file) => file.startsWith("docs/") && !reached.has(file)),
    [],
  );
});

t.test("README.md is short, and README.md and docs/ fit a screen", async (t) => {
  const lines = pageOf("README.md").text.trimEnd().split("\n");
  t.ok(lines.length <= 150, `README.md has ${lines.length} lines, of 150`);
  t.same(
    lines.filter((line) => [...line].length > 120),
    [],
  );
  for (const { file, prose } of pages.filter(({ file }) => /^(docs\/[^/]+|[A-Z]+)\.md$/.test(file)))
    t.same(
      prose.split("\n").filter((line) => [...line].length > 120 && !line.startsWith("|")),
      [],
      file,
    );
});

t.test("files that prose names are there", async (t) => {
  const roots = "bench|cli|cni|daemonset|docs|ipam|kernel|kubernetes|lab|library|manifests|records|scripts|test";
  const path = new RegExp(`^(${roots})/[\\w./-]*\\w$`);
  for (const { file, prose } of pages.filter(({ file }) => /^(docs\/|[A-Z]+\.md)/.test(file))) {
    const named = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!).filter((code) => path.test(code));
    const missing = named.filter((code) => ![code, `${code}.ts`, `${code}.test.ts`].some((one) => existsSync(one)));
    t.same(missing, [], file);
  }
});

t.test("the three ways in name functions that are where they say", async (t) => {
  const { file, prose } = pageOf("docs/architecture.md");
  const named = [...prose.replaceAll("\n", " ").matchAll(/`(?:\w+\.)?(\w+)\(\)` \(\[[^\]]*\]\(\.\.\/([^)]+)\)\)/g)];
  t.ok(named.length >= 6, "the pattern finds them");
  const missing = named.filter(
    ([, name, path]) =>
      !new RegExp(`(function\\*?|async|const) ${name}\\b|^  ${name}\\(`, "m").test(readFileSync(path!, "utf8")),
  );
  t.same(
    missing.map(([, name, path]) => `${file}: ${name}() is not in ${path}`),
    [],
  );
});

t.test("figures of README.md are those of docs/performance.md", async (t) => {
  const [, lines = ""] = pageOf("README.md").prose.split("## What makes it different");
  const figures = [
    ...lines.split("## ")[0]!.matchAll(/\d+ ms|\d+ MB|\d+,\d{3}|\b1\/\d+|\b\d+\.\d+\b|\b\d{3}\b(?! ms)/g),
  ].map(([figure]) => figure);
  t.ok(figures.length >= 8, `${figures}`);
  const measured = pageOf("docs/performance.md").prose;
  t.same(
    figures.filter((figure) => !measured.includes(figure)),
    [],
  );
});

t.test("rows of tables have as many cells as their heads", async (t) => {
  const cellsOf = (row: string): number => row.trim().split(/(?<!\\)\|/).length;
  for (const { file, prose } of pages) {
    const lines = prose.split("\n");
    const odd = lines.filter(
      (line, i) =>
        line.startsWith("|") && (lines[i - 1] ?? "").startsWith("|") && cellsOf(line) !== cellsOf(lines[i - 1]!),
    );
    t.same(odd, [], file);
  }
});
