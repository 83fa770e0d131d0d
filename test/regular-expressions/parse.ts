/**
 * What of a regular expression matters for how often it backtracks. Characters are a set of bits: ASCII, and bit 128 for
 * all others. An assertion takes no character and may fail; `begin` is true only where the input begins. A backreference
 * is taken for a character.
 */
export type Node =
  | { readonly kind: "assertion" | "begin" }
  | { readonly kind: "chars"; readonly set: bigint }
  | { readonly kind: "sequence" | "choice"; readonly of: readonly Node[] }
  | { readonly kind: "repeat"; readonly of: Node; readonly min: number; readonly max: number };

export const ANY = (1n << 129n) - 1n;
const ASSERTION: Node = { kind: "assertion" };
const bit = (code: number): bigint => 1n << BigInt(Math.min(code, 128));
const oneOf = (text: string): bigint => [...text].reduce((set, c) => set | bit(c.codePointAt(0)!), 0n);
const range = (from: number, to: number): bigint => {
  let set = 0n;
  for (let code = from; code <= Math.min(to, 128); code++) set |= bit(code);
  return to > 128 ? set | bit(128) : set;
};
const DIGIT = range(48, 57);
const WORD = DIGIT | range(65, 90) | range(97, 122) | oneOf("_");
const SPACE = oneOf(" \t\n\v\f\r") | bit(128);
const CLASSES: Record<string, bigint> = {
  d: DIGIT,
  D: ANY & ~DIGIT,
  w: WORD,
  W: ANY & ~WORD,
  s: SPACE,
  S: ANY & ~(SPACE & ~bit(128)),
  n: bit(10),
  r: bit(13),
  t: bit(9),
  v: bit(11),
  f: bit(12),
  "0": bit(0),
};

/** @returns the whole, then each lookaround, which the engine runs by itself. */
export function parse(source: string, flags: string): Node[] {
  const asides: Node[] = [];
  let at = 0;
  const fold = (set: bigint): bigint => {
    if (!flags.includes("i")) return set;
    const upper = (set >> 32n) & range(65, 90);
    const lower = (set & range(65, 90)) << 32n;
    return set | upper | lower;
  };
  const chars = (set: bigint): Node => ({ kind: "chars", set: fold(set) });

  function choice(): Node {
    const of = [sequence()];
    while (source[at] === "|") {
      at++;
      of.push(sequence());
    }
    return of.length === 1 ? of[0]! : { kind: "choice", of };
  }

  function sequence(): Node {
    const of: Node[] = [];
    while (at < source.length && !"|)".includes(source[at]!)) of.push(repeated(atom()));
    return { kind: "sequence", of };
  }

  function repeated(of: Node): Node {
    const found = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})\??/.exec(source.slice(at, at + 20));
    if (!found) return of;
    at += found[0].length;
    const [text, low, comma, high] = found;
    if (low === undefined) {
      const min = text[0] === "+" ? 1 : 0;
      return { kind: "repeat", of, min, max: text[0] === "?" ? 1 : Number.POSITIVE_INFINITY };
    }
    const max = comma ? (high ? Number(high) : Number.POSITIVE_INFINITY) : Number(low);
    return { kind: "repeat", of, min: Number(low), max };
  }

  function atom(): Node {
    const c = source[at++]!;
    if (c === "^" && !flags.includes("m")) return { kind: "begin" };
    if (c === "^" || c === "$") return ASSERTION;
    if (c === ".") return chars(flags.includes("s") ? ANY : ANY & ~oneOf("\n\r"));
    if (c === "(") return group();
    if (c === "[") return chars(characterClass());
    if (c === "\\") return escapeOrAssertion();
    return chars(oneOf(c));
  }

  function group(): Node {
    const found = /^\?(?:<?[=!]|:|<\w+>)/.exec(source.slice(at, at + 40))?.[0] ?? "";
    at += found.length;
    const of = choice();
    at++;
    if (!/[=!]$/.test(found)) return of;
    asides.push(of);
    return ASSERTION;
  }

  function escapeOrAssertion(): Node {
    if (source[at] === "b" || source[at] === "B") {
      at++;
      return ASSERTION;
    }
    if (/[1-9]/.test(source[at]!)) {
      at++;
      return chars(ANY);
    }
    return chars(escaped());
  }

  function escaped(): bigint {
    const c = source[at++]!;
    const code = c === "x" || c === "u" ? /^(?:\{[\da-f]+\}|[\da-f]{2,4})/i.exec(source.slice(at, at + 10))?.[0] : "";
    if (code) {
      at += code.length;
      return bit(Number.parseInt(code.replace(/[{}]/g, ""), 16));
    }
    if (c === "p" || c === "P") {
      at = source.indexOf("}", at) + 1;
      return ANY;
    }
    return CLASSES[c] ?? (c === "k" ? ANY : oneOf(c));
  }

  function characterClass(): bigint {
    const isNot = source[at] === "^";
    if (isNot) at++;
    let set = 0n;
    while (source[at] !== "]") {
      const from = member();
      if (source[at] === "-" && source[at + 1] !== "]" && isSingle(from)) {
        at++;
        set |= range(codeOf(from), codeOf(member()));
      } else set |= from;
    }
    at++;
    return isNot ? (ANY & ~fold(set)) | bit(128) : set;
  }

  function member(): bigint {
    if (source[at] !== "\\") return oneOf(source[at++]!);
    at++;
    if (source[at] !== "b") return escaped();
    at++;
    return bit(8);
  }

  return [choice(), ...asides];
}

const isSingle = (set: bigint): boolean => set !== 0n && (set & (set - 1n)) === 0n;
const codeOf = (set: bigint): number => set.toString(2).length - 1;
