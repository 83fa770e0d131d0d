/** Replaces a secret. */
export const REDACTED = "[redacted]";

/** A key with such a name contains a secret. Case is ignored. */
const WORDS =
  /token|passw(?:or)?d|passphrase|secret|credential|private_?-?key|client_?-?key|api_?-?key|access_?-?key|authorization|auth_?-?key|cookie/gi;
/** Keys with such a word whose values are not secret: in Kubernetes objects and our settings. */
const HARMLESS = /^(automountServiceAccountToken|serviceAccountToken|secretName|tokenFile|expirationSeconds)$/;

/** Shorter ones are words that occur everywhere. */
const SHORTEST = 8;

const isSecretKey = (key: string): boolean => key.search(WORDS) >= 0 && !HARMLESS.test(key);

/**
 * Removes secrets from what goes into an archive: those known by value, and whatever looks like one by its form (private
 * keys, JSON web tokens, `Bearer`) or by its key in JSON, YAML, INI or on a command line.
 */
export class Redactor {
  readonly #known: readonly string[];

  /** @param known from kubeconfigs and token files of this machine. */
  constructor(known: readonly string[] = []) {
    const long = known.map((one) => one.trim()).filter((one) => one.length >= SHORTEST);
    const forms = long.flatMap((one) => [one, Buffer.from(one).toString("base64"), JSON.stringify(one).slice(1, -1)]);
    this.#known = [...new Set(forms)].toSorted((a, b) => b.length - a.length);
  }

  /** For a file or a command's output. JSON stays JSON, even line by line. */
  text(text: string): string {
    const whole = parsed(text);
    if (whole !== undefined) return `${JSON.stringify(this.value(whole), null, 2)}\n`;
    return this.#lines(withoutKeys(text).split("\n")).join("\n");
  }

  /** For an object that will become JSON. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.#string(value);
    if (Array.isArray(value)) return value.map((one, i) => (isFlag(value[i - 1]) ? REDACTED : this.value(one)));
    if (typeof value !== "object" || value === null) return value;
    const { name, value: ofVariable } = value as { name?: unknown; value?: unknown };
    const isVariable = typeof name === "string" && typeof ofVariable === "string" && isSecretKey(name);
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [
        this.#plain(key),
        (isSecretKey(key) && one !== null && typeof one !== "boolean") || (isVariable && key === "value")
          ? REDACTED
          : this.value(one),
      ]),
    );
  }

  /** A network's configuration is JSON in a string, and an old object is in an annotation. */
  #string(text: string): string {
    const inner = parsed(text);
    return inner === undefined ? this.#plain(text) : JSON.stringify(this.value(inner));
  }

  /** Lines of JSON one by one, as in logs; what is between them together, since YAML values may continue. */
  #lines(lines: readonly string[]): string[] {
    const out: string[] = [];
    let between: string[] = [];
    const flush = () => {
      if (between.length > 0) out.push(this.#plain(between.join("\n")));
      between = [];
    };
    for (const line of lines) {
      const value = parsed(line);
      if (value === undefined) between.push(line);
      else {
        flush();
        out.push(JSON.stringify(this.value(value)));
      }
    }
    flush();
    return out;
  }

  #plain(text: string): string {
    const withoutKnown = this.#known.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
    return withoutValues(withoutForms(withoutKeys(withoutKnown)));
  }
}

const isFlag = (text: unknown): boolean =>
  typeof text === "string" && /^--?[a-z]/.test(text) && !text.includes("=") && isSecretKey(text);

/** An object or a list; undefined for other text. */
function parsed(text: string): object | undefined {
  const begin = text.trimStart()[0];
  if (begin !== "{" && begin !== "[") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const BEGIN = "-----BEGIN ";
const END = "-----END ";

/** PEM, RFC 7468: certificates are public, no kind of PRIVATE KEY is. An unterminated one extends to the end. */
function withoutKeys(text: string): string {
  let rest = text;
  for (let at = rest.indexOf(BEGIN); at >= 0; at = rest.indexOf(BEGIN, at + 1)) {
    const label = rest.slice(at, at + 64).split("-----", 2)[1] ?? "";
    if (!label.includes("PRIVATE KEY")) continue;
    const end = rest.indexOf(END, at);
    const behind = end < 0 ? rest.length : rest.indexOf("-----", end + END.length) + "-----".length;
    rest = rest.slice(0, at) + REDACTED + rest.slice(behind < at ? rest.length : behind);
  }
  return rest;
}

/** A JSON web token, and what follows `Bearer` or `Basic`. */
const withoutForms = (text: string): string =>
  text.replace(/\beyJ[\w.-]{16,}/g, REDACTED).replace(/\b(Bearer|Basic) [\w.~+/=-]{8,}/gi, `$1 ${REDACTED}`);

/** `key: value`, `key=value`, `"key": "value"`, `--key value`, and the block below `key: |`. */
function withoutValues(text: string): string {
  let out = "";
  let done = 0;
  for (const { index } of text.matchAll(WORDS)) {
    if (index < done) continue;
    const value = valueBehind(text, index);
    if (!value || value.to <= value.from) continue;
    out += text.slice(done, value.from) + REDACTED;
    done = value.to;
  }
  return out + text.slice(done);
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where the value of the key at `at` is; undefined if that is not a key. */
function valueBehind(text: string, at: number): Span | undefined {
  const begin = skipBack(text, at, /[\w.-]/);
  const end = skip(text, at, /[\w.-]/);
  const key = text.slice(begin, end);
  if (HARMLESS.test(key)) return undefined;
  let next = skip(text, skip(text, end, /[\\"']/), /[ \t]/);
  const isAssigned = text[next] === ":" || text[next] === "=";
  if (!isAssigned && !(key.startsWith("-") && next > end)) return undefined;
  if (isAssigned) next = skip(text, next + 1, /[ \t]/);
  const isBlock = /^[|>][-+]?\s*\n/.test(text.slice(next, next + 8));
  return isBlock ? block(text, begin, next) : { from: next, to: valueEnd(text, next) };
}

function valueEnd(text: string, at: number): number {
  const open = skip(text, at, /\\/);
  const quote = text[open];
  if (quote !== '"' && quote !== "'") return skip(text, at, /[^\s,;}\])]/);
  const closing = text.slice(at, open + 1); // as many backslashes as before the first one: JSON in JSON
  for (let end = text.indexOf(closing, open + 1); ; end = text.indexOf(closing, end + 1)) {
    if (end < 0) return text.length;
    if (text[end - 1] !== "\\") return end + closing.length;
  }
}

/** YAML's block scalar: the following lines that are indented more than their key. */
function block(text: string, key: number, at: number): Span {
  const column = key - (text.lastIndexOf("\n", key) + 1);
  let to = text.indexOf("\n", at) + 1;
  while (to > 0 && to < text.length) {
    const next = text.indexOf("\n", to);
    const line = text.slice(to, next < 0 ? text.length : next);
    if (line.trim() !== "" && line.length - line.trimStart().length <= column) break;
    to = next < 0 ? text.length : next + 1;
  }
  return { from: at, to: to || text.length };
}

function skip(text: string, at: number, what: RegExp): number {
  let end = at;
  while (end < text.length && what.test(text[end]!)) end++;
  return end;
}

function skipBack(text: string, at: number, what: RegExp): number {
  let begin = at;
  while (begin > 0 && what.test(text[begin - 1]!)) begin--;
  return begin;
}
