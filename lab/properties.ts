// fast-check with seeds of ours: those that failed once, then the run's. Tests import this in its place.
import * as fc from "fast-check";
import t from "tap";
import { fileSeed, howToKeep, seedsOf } from "./seed.ts";

export * from "fast-check";

t.comment(`seed of its properties: ${fileSeed()}`);

type Outcome = undefined | Promise<void>;

/** As fast-check's, once for each seed. */
export const assert = ((property: fc.IRawProperty<unknown>, parameters: fc.Parameters<unknown> = {}): Outcome => {
  const runs = seedsOf(1).map((seed) => () => run(property, { ...parameters, seed }));
  return runs.reduce<Outcome>((before, next) => (before instanceof Promise ? before.then(next) : next()), undefined);
}) as typeof fc.assert;

function run(property: fc.IRawProperty<unknown>, parameters: fc.Parameters<unknown> & { seed: number }): Outcome {
  const say = (error: unknown): never => {
    t.comment(howToKeep(parameters.seed));
    throw error;
  };
  try {
    const outcome: unknown = fc.assert(property as fc.IProperty<unknown>, parameters);
    return outcome instanceof Promise ? outcome.catch(say) : undefined;
  } catch (error) {
    return say(error);
  }
}
