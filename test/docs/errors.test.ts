import t from "tap";
import { ATTACH_CODE } from "../../cni/codes.ts";
import { CODE } from "../../cni/protocol/error.ts";
import { failureOf, reasonOf } from "../../daemonset/calls/failures.ts";
import { codeIn, pageOf, rowsBelow } from "./support/markdown.ts";
import { sources } from "./support/source.ts";

const page = pageOf("docs/errors.md");
const CODES = [...new Set<number>([...Object.values(CODE), ...Object.values(ATTACH_CODE)])].sort((a, b) => a - b);
const USED = CODES.filter((code) => code !== CODE.UNSUPPORTED_FIELD);

t.test("errors.md has a section for each code, and for no other", async (t) => {
  const headings = [...page.prose.matchAll(/^## Code (\d+)$/gm)].map(([, code]) => Number(code));
  t.same(headings, CODES);
});

t.test("errors.md's first table has each code with its short name, which alerts are written with", async (t) => {
  const rows = rowsBelow(page, "# Errors").filter(([first = ""]) => /^\[\d+\]/.test(first));
  t.same(
    rows.map(([first = "", name = ""]) => `${first} ${name}`.trim()),
    CODES.map((code) => `[${code}](#code-${code}) ${USED.includes(code) ? `\`${reasonOf(code)}\`` : ""}`.trim()),
  );
  for (const code of USED) t.not(failureOf(code).name, "other", `${code} has a name`);
});

for (const code of USED)
  t.test(`errors.md says what causes code ${code}, and what to do`, async (t) => {
    const rows = rowsBelow(page, `## Code ${code}`);
    t.ok(rows.length > 0);
    for (const row of rows) t.ok(row.length === 3 && row.every((cell) => cell.length > 2), row.join(" "));
  });

/** All source, a text that goes over several lines as one. */
const said = [...sources.values()].join("\n").replace(/["`]\s*\+\s*["`]/g, "");

/** What is constant of a message: between the values, and without the names of errno. */
const constants = (message: string): string[] =>
  message
    .split("…")
    .map((part) => part.replace(/\([A-Z]\w+\)|: $/g, "").trim())
    .filter((part) => part.length > 2);

const escaped = (text: string): string => text.replaceAll('"', '\\"');
const quotedBelow = (code: number): string[] =>
  rowsBelow(page, `## Code ${code}`).flatMap(([first = ""]) => codeIn(first));

/** Whether a message of the source is one that is quoted. */
const isQuoted = (text: string, code: number): boolean =>
  quotedBelow(code).some((quote) => {
    const parts = constants(quote);
    return parts.length > 0 && parts.every((part) => text.includes(part) || text.includes(escaped(part)));
  });

t.test("errors.md quotes every message that stands as a whole in the source", async (t) => {
  const names = new Map<string, number>([...Object.entries(CODE), ...Object.entries(ATTACH_CODE)]);
  const begins = [...said.matchAll(/new CniError\(\s*(?:ATTACH_)?CODE\.([A-Z_]+),\s*[`"]/g)];
  const messages = begins.map((begin) => ({
    code: names.get(begin[1]!)!,
    text: said.slice(begin.index + begin[0].length).slice(0, 400),
  }));
  t.ok(messages.length > 60);
  const isWhole = ({ text }: { text: string }) => !/^[^`]*\$\{[^}`]*\}`/.test(text); // what ends in a reason gets it from elsewhere
  t.same(
    messages.filter(isWhole).filter(({ code, text }) => !isQuoted(text, code)),
    [],
  );
});

t.test("errors.md quotes messages that there are", async (t) => {
  const quoted = USED.flatMap(quotedBelow);
  t.ok(quoted.length > 50);
  const missing = quoted.filter(
    (message) => !constants(message).every((part) => said.includes(part) || said.includes(escaped(part))),
  );
  t.same(missing, []);
});
