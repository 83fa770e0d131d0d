import { randomFrom } from "../../cli/random.ts";
import type { Mutation } from "./mutations.ts";

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
