import { readFileSync } from "node:fs";

/** A regular expression as it stands in a file. */
export interface Literal {
  readonly path: string;
  readonly line: number;
  readonly source: string;
  readonly flags: string;
}

/** What may stand before a regular expression: behind anything else a slash divides. */
const BEFORE = "(,=:[!&|?{};+-*%<>~^\n";
const WORDS_BEFORE = ["return", "typeof", "case", "of", "in", "do", "else", "throw", "yield", "await", "void"];

/** Every `/…/` of a TypeScript file, those in comments and strings left out. */
export function literalsOf(path: string, text = readFileSync(path, "utf8")): Literal[] {
  const found: Literal[] = [];
  const open: string[] = []; // "`" of a template, "{" of a block or of a template's expression
  let at = 0;
  let last = "\n"; // the last character, or word, that is code
  while (at < text.length) {
    const c = text[at]!;
    if (text.startsWith("//", at)) at = indexOf(text, "\n", at);
    else if (text.startsWith("/*", at)) at = indexOf(text, "*/", at) + 2;
    else if (c === '"' || c === "'") [at, last] = [endOf(text, at + 1, c), c];
    else if (c === "`" || (c === "}" && open.at(-1) === "`")) {
      if (c === "}") open.pop();
      const end = templatePart(text, at + 1);
      if (text[end - 1] === "{") open.push("`");
      [at, last] = [end, text[end - 1] === "{" ? "{" : "`"];
    } else if (c === "/" && (BEFORE.includes(last) || WORDS_BEFORE.includes(last))) {
      const end = endOf(text, at + 1, "/");
      const flags = /^[a-z]*/.exec(text.slice(end, end + 8))![0];
      const line = text.slice(0, at).split("\n").length;
      found.push({ path, line, source: text.slice(at + 1, end - 1), flags });
      [at, last] = [end + flags.length, "/"];
    } else if (/[\w$]/.test(c)) {
      const word = /^[\w$]+/.exec(text.slice(at, at + 80))![0];
      [at, last] = [at + word.length, word];
    } else {
      if (c === "{") open.push("{");
      if (c === "}") open.pop();
      if (!/\s/.test(c)) last = c;
      at++;
    }
  }
  return found;
}

/** Behind the closing `quote`; within a class of characters a slash closes nothing. */
function endOf(text: string, from: number, quote: string): number {
  let inClass = false;
  for (let at = from; at < text.length; at++) {
    const c = text[at]!;
    if (c === "\\") at++;
    else if (c === "\n") return at;
    else if (quote === "/" && c === "[") inClass = true;
    else if (quote === "/" && c === "]") inClass = false;
    else if (c === quote && !inClass) return at + 1;
  }
  return text.length;
}

/** Behind the closing backtick, or behind the `${` of the next expression. */
function templatePart(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "`") return at + 1;
    else if (text.startsWith("${", at)) return at + 2;
  }
  return text.length;
}

const indexOf = (text: string, what: string, from: number): number => {
  const at = text.indexOf(what, from);
  return at < 0 ? text.length : at;
};
