import type { Mutation } from "./mutations.ts";

/** Looks at types with mutations made, all at once. @returns the files whose types do not fit. */
export type Look = (mutations: readonly Mutation[]) => Promise<ReadonlySet<string>>;

/** So many are looked at with one run of the compiler, each in a file of its own. */
const MOST_TOGETHER = 40;

/** @returns those that compile, of each file in their order, and no more looked at than are asked for. */
export async function* compiling(mutations: readonly Mutation[], look: Look): AsyncGenerator<Mutation> {
  for (let rest = mutations; rest.length > 0; ) {
    const batch = batchOf(rest);
    rest = rest.filter((one) => !batch.includes(one));
    const misfits = await look(batch);
    const own = new Set(batch.map(({ file }) => file));
    const isClear = [...misfits].every((file) => own.has(file));
    for (const one of batch) if (!misfits.has(one.file) && (isClear || (await look([one])).size === 0)) yield one; // else it may be one's whose users do not fit
  }
}

/** The first of each file, in their order. */
function batchOf(mutations: readonly Mutation[]): readonly Mutation[] {
  const byFile = new Map<string, Mutation>();
  for (const one of mutations.slice(0, 2 * MOST_TOGETHER)) if (!byFile.has(one.file)) byFile.set(one.file, one);
  return [...byFile.values()].slice(0, MOST_TOGETHER);
}
