import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A fenced code block: what stands behind the fence, and the lines between. */
export interface Block {
  readonly file: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  /** `json`, `yaml`, `ts`, `mermaid`, or empty. */
  readonly language: string;
  /** Marked for a test to run it: on a node, or beside an API server. */
  readonly runs: "" | " node" | " cluster";
  readonly text: string;
}

export interface Page {
  /** From the project's root. */
  readonly file: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** Without code blocks: lines keep their numbers. */
  readonly prose: string;
}

const FENCE = /^( *)```(\w*)( node| cluster)?\n([\s\S]*?)^\1```$/gm;

/** Every Markdown file of the project, as git has it or will have it. */
export const pages: readonly Page[] = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "*.md"], {
  encoding: "utf8",
})
  .trim()
  .split("\n")
  .map(readPage);

export const pageOf = (file: string): Page => {
  const page = pages.find((one) => one.file === file);
  if (!page) throw new Error(`cannot find ${file} among the project's Markdown files`);
  return page;
};

function readPage(file: string): Page {
  const text = readFileSync(file, "utf8");
  return { file, text, blocks: blocksOf(file, text), prose: withoutBlocks(text) };
}

/** Code blocks of a page, also indented ones of a list; their indent is taken off. */
export function blocksOf(file: string, text: string): Block[] {
  return [...text.matchAll(FENCE)].map(({ index, 1: indent = "", 2: language = "", 3: runs = "", 4: body = "" }) => ({
    file,
    line: text.slice(0, index).split("\n").length,
    language,
    runs: runs as Block["runs"],
    text: body.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  }));
}

function withoutBlocks(text: string): string {
  return text.replace(FENCE, (block) => block.replace(/[^\n]/g, ""));
}

/** Cells of the rows of all tables below a heading, up to the next heading of that level or above. */
export function rowsBelow({ file, prose }: Page, heading: string): string[][] {
  const from = `\n${prose}`.indexOf(`\n${heading}\n`);
  if (from < 0) throw new Error(`cannot find the heading "${heading}" in ${file}`);
  const level = heading.indexOf(" ");
  const rest = prose.slice(from + heading.length + 1);
  const end = rest.search(new RegExp(`^#{1,${level}} `, "m"));
  return rowsOf(end < 0 ? rest : rest.slice(0, end));
}

/** Rows of all tables, without heads and rules. */
export function rowsOf(text: string): string[][] {
  const lines = text.split("\n");
  const isRow = (line: string | undefined) => line?.startsWith("|") ?? false;
  const isHead = (i: number) => isRow(lines[i]) && !isRow(lines[i - 1]);
  return lines.filter((line, i) => isRow(line) && !isHead(i) && !isHead(i - 1)).map(cells);
}

const cells = (row: string): string[] =>
  row
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

/** What stands in backticks. */
export const codeIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);

/** Anchors of a page as GitHub makes them of its headings: lower case, spaces to hyphens, other signs gone; doubles get a number. */
export function anchorsOf({ prose }: Page): Set<string> {
  const seen = new Map<string, number>();
  const anchors = [...prose.matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, title]) => {
    const slug = title!
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}\p{Pc} -]/gu, "")
      .replaceAll(" ", "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times ? `${slug}-${times}` : slug;
  });
  return new Set(anchors);
}

/** Links and pictures of a page, without those in code. */
export const linksOf = ({ prose }: Page): { readonly line: number; readonly to: string }[] =>
  [...prose.replace(/`[^`\n]*`/g, (code) => " ".repeat(code.length)).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => ({
    line: prose.slice(0, match.index).split("\n").length,
    to: match[1]!,
  }));
