import { ANY, type Node, parse } from "./parse.ts";

/**
 * How the time of a regular expression that fails grows with its input: by Weideman et al., "Analyzing Matching Time
 * Behavior of Backtracking Regular Expression Matchers by Using Ambiguity of NFA" (CIAA 2016).
 *
 * `exponential`: one word leads from a place back to it in two ways. `polynomial`: a word that a loop takes is also taken
 * on the way to a later loop and in that one. Only loops behind which the rest can fail: else the engine is content.
 */
export type Growth = "linear" | "polynomial" | "exponential";

/** A repetition of more than so many is taken for one without end. */
const MANY = 8;

/** InstallPaths are characters of the expression; `next` says in how many ways (1 or 2, for more) one follows another. */
interface Automaton {
  readonly sets: readonly bigint[];
  /** Behind it nothing more is needed. */
  readonly isEnd: readonly boolean[];
  readonly next: readonly ReadonlyMap<number, number>[];
}

export function growthOf(source: string, flags: string): Growth {
  const all = parse(source, flags).flatMap((node) => [
    node,
    { kind: "sequence", of: [ANYWHERE, later(node)] } as const,
  ]);
  const automata = (flags.includes("y") ? parse(source, flags) : all).map(automatonOf);
  if (automata.some(isExponential)) return "exponential";
  return automata.some(isPolynomial) ? "polynomial" : "linear";
}

/** The engine tries every place of the input to begin at. */
const ANYWHERE: Node = { kind: "repeat", of: { kind: "chars", set: ANY }, min: 0, max: Number.POSITIVE_INFINITY };

/** An expression where the input does not begin. */
function later(node: Node): Node {
  if (node.kind === "begin") return { kind: "chars", set: 0n };
  if (node.kind === "repeat") return { ...node, of: later(node.of) };
  return "of" in node ? { ...node, of: node.of.map(later) } : node;
}

/** Thompson's construction, then its empty steps taken together. */
function automatonOf(node: Node): Automaton {
  const empty: number[][] = [];
  const taking = new Map<number, { set: bigint; to: number }>();
  const assertions = new Set<number>();
  const state = () => empty.push([]) - 1;
  const build = (one: Node, from: number): number => {
    if (one.kind === "chars") {
      const to = state();
      const own = state();
      empty[from]!.push(own);
      taking.set(own, { set: one.set, to });
      return to;
    }
    if (!("of" in one)) {
      const own = state();
      assertions.add(own);
      empty[from]!.push(own);
      return own;
    }
    if (one.kind === "sequence") return one.of.reduce((at, part) => build(part, at), from);
    if (one.kind === "repeat") return repeat(one, from);
    const end = state();
    for (const part of one.of) {
      const begin = state();
      empty[from]!.push(begin);
      empty[build(part, begin)]!.push(end);
    }
    return end;
  };
  const repeat = ({ of, min, max }: Extract<Node, { kind: "repeat" }>, from: number): number => {
    let at = from;
    for (let i = 0; i < Math.min(min, MANY); i++) at = build(of, at);
    if (max > MANY) {
      const loop = state();
      const end = state();
      empty[at]!.push(loop);
      empty[loop]!.push(end);
      empty[build(of, loop)]!.push(loop);
      return end;
    }
    const end = state();
    for (let i = min; i < max; i++) {
      empty[at]!.push(end);
      at = build(of, at);
    }
    empty[at]!.push(end);
    return end;
  };
  const end = build(node, state());
  const isContent = (at: number, seen = new Set<number>()): boolean =>
    at === end ||
    empty[at]!.some((to) => {
      if (seen.has(to) || assertions.has(to)) return false;
      seen.add(to);
      return isContent(to, seen);
    });
  const places = [...taking.keys()];
  const follow = (from: number): Map<number, number> => {
    const ways = new Map<number, number>();
    const walk = (at: number, seen: ReadonlySet<number>): void => {
      const place = places.indexOf(at);
      if (place >= 0) ways.set(place, Math.min((ways.get(place) ?? 0) + 1, 2));
      for (const to of empty[at]!) if (!seen.has(to)) walk(to, new Set([...seen, to]));
    };
    walk(from, new Set([from]));
    return ways;
  };
  return {
    sets: places.map((place) => taking.get(place)!.set),
    isEnd: places.map((place) => isContent(taking.get(place)!.to)),
    next: places.map((place) => follow(taking.get(place)!.to)),
  };
}

/** Two ways from a place back to it by one word. */
function isExponential({ sets, isEnd, next }: Automaton): boolean {
  return sets.some(
    (_, loop) =>
      !isEnd[loop] &&
      reaches([loop, loop, 0], [loop, loop, 1], ([p, q, split]) =>
        steps(next[p!]!).flatMap(([a, ways]) =>
          steps(next[q!]!)
            .filter(([b]) => (sets[a]! & sets[b]!) !== 0n)
            .map(([b]) => [a, b, split || a !== b || (p === q && ways > 1) ? 1 : 0]),
        ),
      ),
  );
}

/** By one word: from a loop back to it, from it to another, and from that one back to it. */
function isPolynomial({ sets, isEnd, next }: Automaton): boolean {
  const isLoop = (place: number) => reaches([place], [place], ([p]) => steps(next[p!]!).map(([a]) => [a]));
  const loops = sets.flatMap((_, place) => (isLoop(place) ? [place] : []));
  return loops.some((first) =>
    loops.some(
      (second) =>
        first !== second &&
        !isEnd[second] &&
        reaches([first, first, second], [first, second, second], ([p, q, r]) =>
          steps(next[p!]!).flatMap(([a]) =>
            steps(next[q!]!)
              .filter(([b]) => (sets[a]! & sets[b]!) !== 0n)
              .flatMap(([b]) =>
                steps(next[r!]!)
                  .filter(([c]) => (sets[a]! & sets[b]! & sets[c]!) !== 0n)
                  .map(([c]) => [a, b, c]),
              ),
          ),
        ),
    ),
  );
}

const steps = (next: ReadonlyMap<number, number>): [number, number][] => [...next];

/** Whether one or more steps lead from one point to another. */
function reaches(
  from: readonly number[],
  to: readonly number[],
  stepsOf: (at: readonly number[]) => readonly (readonly number[])[],
): boolean {
  const seen = new Set<string>();
  const waiting = [from];
  for (let at = waiting.pop(); at; at = waiting.pop())
    for (const step of stepsOf(at)) {
      const key = step.join();
      if (key === to.join()) return true;
      if (!seen.has(key)) waiting.push(step);
      seen.add(key);
    }
  return false;
}
