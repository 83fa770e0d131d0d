import type { CarryOut } from "./orders.ts";

/** An answer is refreshed after this time: asking waits for rtnl. */
const KEPT_MS = 60_000;
/** A caller goes on without an answer after this time. */
const PATIENCE_MS = 5_000;

/** Names of links by alternative name, which sysfs does not show. If the kernel is slow to answer, the last known name is used. */
export class Altnames {
  readonly #carryOut: CarryOut;
  readonly #nowMs: () => number;
  readonly #askedMs = new Map<string, number>();
  readonly #known = new Map<string, string>();
  #asking: Promise<void> | undefined;

  constructor(carryOut: CarryOut, nowMs: () => number = () => performance.now()) {
    this.#carryOut = carryOut;
    this.#nowMs = nowMs;
  }

  readonly nameOf = (altname: string): string | undefined => this.#known.get(altname);

  /** Asks for those whose answer is old. Never rejects. */
  async learn(altnames: readonly string[]): Promise<void> {
    const old = altnames.filter(
      (one) => this.#nowMs() - (this.#askedMs.get(one) ?? Number.NEGATIVE_INFINITY) >= KEPT_MS,
    );
    if (old.length > 0) this.#asking ??= this.#ask(old).finally(() => (this.#asking = undefined));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, PATIENCE_MS);
    await Promise.race([this.#asking, late]);
    clearTimeout(timer);
  }

  async #ask(altnames: readonly string[]): Promise<void> {
    let found: ReadonlyMap<string, string> = new Map();
    try {
      found = await this.#carryOut({ do: "find-altnames", altnames });
    } catch {
      // as if there were none, until it is asked again
    }
    for (const one of altnames) {
      this.#askedMs.set(one, this.#nowMs());
      const name = found.get(one);
      if (name === undefined) this.#known.delete(one);
      else this.#known.set(one, name);
    }
  }
}
