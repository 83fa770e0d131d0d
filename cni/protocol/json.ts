import { CniError, CODE } from "./error.ts";

/**
 * JSON.parse with an error that says where: runtimes show users nothing but the message, and Bun's engine gives no position.
 * If a key is given twice, the last one wins; for its spellings see `keys.ts`.
 *
 * @param what for the message, such as "the network configuration".
 * @throws {CniError} 6, naming line and column.
 */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CniError(CODE.DECODING_FAILURE, `cannot decode ${what}: ${explain(text, cause)}`, { cause });
  }
}

function explain(text: string, cause: unknown): string {
  if (text.trim() === "") return "it is empty";
  try {
    const at = firstOffence(text);
    const lines = text.slice(0, at).split("\n");
    return `${nameOf(text, at)} at line ${lines.length}, column ${lines.at(-1)!.length + 1}`;
  } catch {
    return (cause as Error).message; // the pattern overflowed the stack, inside a string of megabytes
  }
}

function nameOf(text: string, at: number): string {
  if (at >= text.length) return "unexpected end";
  if (text[at] === '"') return "unexpected or malformed string";
  return `unexpected ${JSON.stringify(String.fromCodePoint(text.codePointAt(at)!))}`;
}

const SPACE = /[ \t\n\r]*/y;
const TOKEN =
  /[{}[\],:]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

type Kind = "{" | "}" | "[" | "]" | "," | ":" | "string" | "scalar";
type State = "value" | "first item" | "key" | "first key" | "colon" | "in object" | "in list" | "end";
type Bracket = "{" | "[";

/** RFC 8259: what may appear in each state, and what follows; `back` returns to the enclosing bracket. */
const GRAMMAR: Record<State, Partial<Record<Kind, State | "back">>> = {
  value: { "{": "first key", "[": "first item", string: "back", scalar: "back" },
  "first item": { "{": "first key", "[": "first item", string: "back", scalar: "back", "]": "back" },
  "first key": { string: "colon", "}": "back" },
  key: { string: "colon" },
  colon: { ":": "value" },
  "in object": { ",": "key", "}": "back" },
  "in list": { ",": "value", "]": "back" },
  end: {},
};
const AROUND: Record<Bracket, State> = { "{": "in object", "[": "in list" };

/** The offset of the first misplaced token. Iterative: nesting may be deep. */
function firstOffence(text: string): number {
  const open: Bracket[] = [];
  let allowed = GRAMMAR.value;
  for (let at = 0; ; ) {
    at += lengthOf(SPACE, text, at);
    const kind = kindOf(text[at] ?? "");
    const next = allowed[kind];
    const length = lengthOf(TOKEN, text, at);
    if (length === 0 || next === undefined) return at;
    if (kind === "{" || kind === "[") open.push(kind);
    else if (kind === "}" || kind === "]") open.pop();
    allowed = GRAMMAR[next === "back" ? around(open.at(-1)) : next];
    at += length;
  }
}

const around = (bracket: Bracket | undefined): State => (bracket ? AROUND[bracket] : "end");

function lengthOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}

function kindOf(first: string): Kind {
  if (first === '"') return "string";
  return /[{}[\],:]/.test(first) ? (first as Kind) : "scalar";
}
