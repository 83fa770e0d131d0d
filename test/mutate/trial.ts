import type { Baseline, Checkout } from "./checkout.ts";
import type { Mutation } from "./mutations.ts";
import { type Judge, judgesOf, TIERS, type Tier } from "./noticing.ts";

export type Outcome = "noticed" | "survived";

export interface Verdict {
  readonly outcome: Outcome;
  /** The first that failed. */
  readonly by?: string;
  /** How many ran what was changed. */
  readonly asked: number;
}

/** Those farther away import nearly everything: so many are looked at whether they run what was changed, and so many of these are asked. */
const MOST_LOOKED_AT = 12;
const MOST_ASKED = 8;

/** Tries mutations out, one at a time. */
export class Trial {
  readonly #checkout: Checkout;
  readonly #tiers: readonly Tier[];
  readonly #judgesOf: (file: string) => Judge[];
  readonly #baselines = new Map<string, Promise<Baseline>>();
  /** Whether a test of the executables passes without a mutation; what fails on this machine anyway notices nothing. */
  readonly #passes = new Map<string, boolean>();
  /** What the executables are built from; none: from the source as it is. */
  #built: Mutation | "nothing" | undefined = "nothing";

  /** @param upTo the last tier that is asked. */
  constructor(checkout: Checkout, upTo: Tier) {
    this.#checkout = checkout;
    this.#tiers = TIERS.slice(0, TIERS.indexOf(upTo) + 1);
    this.#judgesOf = judgesOf(checkout.dir);
  }

  async judge(mutation: Mutation): Promise<Verdict> {
    const judges = this.#judgesOf(mutation.file).filter(({ tier }) => this.#tiers.includes(tier));
    let asked = 0;
    for (const [i, judge] of judges.entries()) {
      if (judge.tier === "pure" && (asked === MOST_ASKED || i >= MOST_LOOKED_AT)) continue;
      const said = judge.isOfExecutables ? await this.#ofExecutables(judge, mutation) : await this.#of(judge, mutation);
      if (said !== "cannot say") asked++;
      if (said === "noticed") return { outcome: said, by: judge.name, asked };
    }
    return { outcome: "survived", asked };
  }

  async #of({ name, args, isCovered }: Judge, mutation: Mutation): Promise<Outcome | "cannot say"> {
    const known = this.#baselines.get(name) ?? this.#checkout.baseline(args);
    this.#baselines.set(name, known);
    const { passes, coverage, limitMs } = await known;
    if (!passes || (isCovered && !coverage.ran(mutation.file, mutation.start))) return "cannot say";
    return (await this.#with(mutation, () => this.#checkout.passes(args, limitMs))) ? "survived" : "noticed";
  }

  async #ofExecutables({ name, args }: Judge, mutation: Mutation): Promise<Outcome | "cannot say"> {
    if (this.#passes.get(name) === false) return "cannot say";
    if (!(await this.#build(mutation))) return "noticed";
    if (await this.#checkout.passes(args)) return "survived";
    if (!this.#passes.has(name)) {
      await this.#build(undefined);
      this.#passes.set(name, await this.#checkout.passes(args));
    }
    return this.#passes.get(name) ? "noticed" : "cannot say";
  }

  async #build(mutation: Mutation | undefined): Promise<boolean> {
    if (this.#built === mutation) return true;
    this.#built = "nothing";
    const isBuilt = await this.#with(mutation, () => this.#checkout.build());
    if (isBuilt) this.#built = mutation;
    return isBuilt;
  }

  async #with<T>(mutation: Mutation | undefined, work: () => Promise<T>): Promise<T> {
    using _applied = mutation && this.#checkout.apply(mutation);
    return await work();
  }
}
