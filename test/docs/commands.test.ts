import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import t from "tap";
import { type Page, pageOf, pages } from "./support/markdown.ts";
import { found } from "./support/source.ts";

/** One line of shell in a page: of an indented block, a `sh` block, or in backticks. */
interface Line {
  readonly where: string;
  readonly text: string;
}

const withoutComment = (text: string): string => text.replace(/(^|\s)#(?!\d).*$/, "").trim();

const PROGRAMS =
  /^(railnet|npm|npx|kubectl|scripts\/|node_modules\/\.bin\/node|bash|dist\/railnet|\/opt\/railnet\/bin\/railnet) ?/;

/** Indented blocks are shell here, but in lists. */
function linesOf({ file, prose, blocks }: Page): Line[] {
  const numbered = prose.split("\n").map((text, i) => ({ where: `${file}:${i + 1}`, text }));
  const indented = numbered.filter(({ text }) => /^ {4,}\S/.test(text) && PROGRAMS.test(text.trim()));
  const quoted = numbered.flatMap(({ where, text }) =>
    [...text.matchAll(/`([^`]+)`/g)]
      .map(([, code]) => ({ where, text: code! }))
      .filter(({ text }) => PROGRAMS.test(text)),
  );
  const fenced = blocks
    .filter(({ language }) => language === "sh")
    .flatMap(({ line, text }) => text.split("\n").map((one) => ({ where: `${file}:${line}`, text: one })));
  return [...indented, ...quoted, ...fenced].map(({ where, text }) => ({ where, text: withoutComment(text) }));
}

const lines = pages.filter(({ file }) => !file.startsWith("test/")).flatMap(linesOf);

/** Words behind `railnet`, also where it runs in a pod or by its path. */
const railnet = lines.flatMap(({ where, text }) => {
  const words = /(?:^|\s|\/)railnet ([a-z].*)$/.exec(text)?.[1]?.split(/\s+/);
  return words ? [{ where, words }] : [];
});

const commands = new Set(found(/\.?command\(\s*"([a-z-]+)/g, /^cli\//));
const options = new Set([...found(/\.option\("([\w-]+)"/g, /^cli\//), "help", "version"]);

t.test("the command line's own words are found", async (t) => {
  for (const one of ["agent", "status", "doctor", "ipam", "takeover", "reconcile"]) t.ok(commands.has(one), one);
  for (const one of ["install", "alias", "json", "metrics"]) t.ok(options.has(one), one);
  t.ok(railnet.length > 30);
});

t.test("commands of railnet that are documented exist, with their options", async (t) => {
  const unknown = railnet.flatMap(({ where, words: [command = "", second = "", ...rest] }) => {
    const sub = command === "ipam" && /^[a-z]/.test(second) ? [second] : [];
    const given = [second, ...rest].flatMap((word) => [...word.matchAll(/^\[?--([\w-]+)/g)].map(([, name]) => name!));
    return [
      ...[command, ...sub].filter((one) => !commands.has(one)),
      ...given.filter((one) => !options.has(one)).map((one) => `--${one}`),
    ].map((what) => `${where}: ${what}`);
  });
  t.same(unknown, []);
});

t.test("every command of railnet is documented", async (t) => {
  const documented = new Set(railnet.flatMap(({ words }) => words.slice(0, 2)));
  t.same(
    [...commands].filter((one) => !documented.has(one)),
    [],
  );
});

const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));

t.test("npm scripts that are documented exist, and those that exist are documented", async (t) => {
  const named = lines.flatMap(({ where, text }) =>
    [...text.matchAll(/\bnpm (?:run (?:--silent )?)?([a-z:]+)/g)].map(([, name]) => ({ where, name: name! })),
  );
  const npm = ["install", "pack", "ci"];
  t.same(
    named.filter(({ name }) => !scripts[name] && !npm.includes(name)),
    [],
  );
  const names = new Set(named.map(({ name }) => name));
  t.same(
    Object.keys(scripts).filter((name) => !names.has(name) && name !== "prepack"),
    [],
  );
});

t.test("scripts and programs that are documented are files", async (t) => {
  const paths = lines.flatMap(({ where, text }) =>
    [...text.matchAll(/(?:^|\s)((?:scripts|bench|test|cni|lab)\/[\w./-]+\.(?:sh|ts))\b/g)].map(([, path]) => ({
      where,
      path: path!,
    })),
  );
  t.ok(paths.length > 5);
  t.same(
    paths.filter(({ path }) => !existsSync(path)),
    [],
  );
});

t.test("shell is shell: bash reads every line", async (t) => {
  const shell = lines.map(({ text }) => text).filter((text) => text && !/[…[(<]|\\$/.test(text));
  t.ok(shell.length > 40);
  t.equal(execFileSync("bash", ["-n"], { input: shell.join("\n"), encoding: "utf8" }), "");
});

t.test("metrics that are documented exist", async (t) => {
  const table = pageOf("daemonset/metrics/README.md").text;
  const known = new Set([...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name!));
  const named = pages.flatMap(({ file, text }) =>
    [...text.matchAll(/\brailnet_[a-z_]*[a-z]\b/g)].map(([name]) => ({ file, name })),
  );
  const unknown = named.filter(({ name }) => !known.has(name.replace(/_(bucket|sum|count)$/, "")));
  t.same(unknown, []);
});

t.test("events that are documented exist", async (t) => {
  const reasons = new Set(found(/"((?:[A-Z][a-z]+){2,})"/g, /^(daemonset|kubernetes)\//));
  const named = pages
    .filter(({ file }) => /^(docs|daemonset)\//.test(file))
    .flatMap(({ file, prose }) =>
      [...prose.matchAll(/\bevents?(?: at [\w' ]+)?(?: says so)? \(?`((?:[A-Z][a-z]+){2,})`/g)].map(([, name]) => ({
        file,
        name: name!,
      })),
    );
  t.ok(named.length >= 3);
  t.same(
    named.filter(({ name }) => !reasons.has(name)),
    [],
  );
});
