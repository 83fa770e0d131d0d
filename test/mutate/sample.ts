import type { Mutation } from "./mutations.ts";

/** A sequence of numbers from 0 to 1 that is the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** As many mutations as are wanted, of every kind in turn: the many left out properties would hide the few locks. */
export function sample(all: readonly Mutation[], count: number, seed: number): Mutation[] {
  const random = randomFrom(seed);
  const byKind = [...Map.groupBy(all, ({ kind }) => kind).entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  const left = byKind.map(([, mutations]) => shuffled(mutations, random));
  const chosen: Mutation[] = [];
  while (chosen.length < Math.min(count, all.length))
    for (const mutations of left) {
      const next = mutations.pop();
      if (next && chosen.length < count) chosen.push(next);
    }
  return chosen;
}

function shuffled<T>(all: readonly T[], random: () => number): T[] {
  const list = [...all];
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}
