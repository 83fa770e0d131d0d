import type { Checkout } from "./checkout.ts";
import type { Mutation } from "./mutations.ts";
import { executableTestsOf, pureTestsOf } from "./noticing.ts";

export type Outcome = "noticed" | "survived" | "does not compile";

export interface Verdict {
  readonly outcome: Outcome;
  /** The first test that failed. */
  readonly by?: string;
}

/** Tries mutations out, one at a time. */
export class Trial {
  readonly #checkout: Checkout;
  readonly #isPure: boolean;
  readonly #pureTestsOf: (file: string) => string[];
  /** Whether a test passes without a mutation; what fails on this machine anyway notices nothing. */
  readonly #passes = new Map<string, boolean>();

  /** @param isPure only tests that need no executables. */
  constructor(checkout: Checkout, isPure: boolean) {
    this.#checkout = checkout;
    this.#isPure = isPure;
    this.#pureTestsOf = pureTestsOf(checkout.dir);
  }

  async judge(mutation: Mutation): Promise<Verdict> {
    const pure = this.#pureTestsOf(mutation.file);
    const whole = this.#isPure ? [] : executableTestsOf(mutation.file);
    {
      using _ = this.#checkout.apply(mutation);
      if (!(await this.#checkout.compiles())) return { outcome: "does not compile" };
    }
    const by = (await this.#firstToNotice(pure, mutation, false)) ?? (await this.#firstToNotice(whole, mutation, true));
    return by ? { outcome: "noticed", by } : { outcome: "survived" };
  }

  async #firstToNotice(tests: readonly string[], mutation: Mutation, needsBuild: boolean): Promise<string | undefined> {
    let isBuilt = !needsBuild;
    for (const test of tests) {
      if (this.#passes.get(test) === false) continue;
      using applied = this.#checkout.apply(mutation);
      if (!isBuilt && !(await this.#checkout.build())) return "the build";
      isBuilt = true;
      if (await this.#checkout.passes(test)) continue;
      applied[Symbol.dispose]();
      if (await this.#passesWithout(test, needsBuild)) return test;
      isBuilt = !needsBuild;
    }
    return undefined;
  }

  /** Asked once a test. */
  async #passesWithout(test: string, needsBuild: boolean): Promise<boolean> {
    const known = this.#passes.get(test);
    if (known !== undefined) return known;
    const passes = (!needsBuild || (await this.#checkout.build())) && (await this.#checkout.passes(test));
    this.#passes.set(test, passes);
    return passes;
  }
}
