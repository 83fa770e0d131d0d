/** What the API server refuses of what this agent must follow, by subject; shown by the probe and the command line. */
export class Refusals {
  readonly #all = new Map<string, string>();

  /** @returns whether that is new. */
  say(what: string, message: string): boolean {
    const isNew = !this.#all.has(what);
    this.#all.set(what, message);
    return isNew;
  }

  /** @returns whether it was refused. */
  over(what: string): boolean {
    return this.#all.delete(what);
  }

  all(): string[] {
    return [...this.#all.values()];
  }
}
