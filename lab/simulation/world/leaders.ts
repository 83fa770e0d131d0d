import type { Actor } from "../core/actor.ts";
import { simulation } from "../core/simulation.ts";

/** Who says that it leads: one at a time, as far as it runs. */
export class Leaders {
  readonly #all = new Set<Actor>();
  readonly #fail: (rule: string, detail: string) => void;

  constructor(fail: (rule: string, detail: string) => void) {
    this.#fail = fail;
  }

  says(actor: Actor, leads: boolean): void {
    for (const one of this.#all) if (one.isDead) this.#all.delete(one);
    if (!leads) return void this.#all.delete(actor);
    for (const one of this.#all)
      if (one !== actor && one.frozenUntilMs <= simulation().nowMs)
        this.#fail("two leaders", `${one.name} and ${actor.name}`);
    this.#all.add(actor);
  }
}
