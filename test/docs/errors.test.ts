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

t.test("errors.md quotes messages that there are", async (t) => {
  const quoted = USED.flatMap((code) => rowsBelow(page, `## Code ${code}`).flatMap(([first = ""]) => codeIn(first)));
  t.ok(quoted.length > 50);
  const escaped = (text: string) => text.replaceAll('"', '\\"');
  const missing = quoted.filter((message) => !constants(message).every((part) => said.includes(part) || said.includes(escaped(part)))); // biome-ignore format: one line
  t.same(missing, []);
});
