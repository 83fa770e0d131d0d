/** Something that an operator looking at a node should know: a repair, a failed ADD. */
export interface Note {
  /** ISO 8601. */
  readonly at: string;
  /** `attachment ended`, or an event's reason: `FailedRailAttach`, `AddressFreed`. */
  readonly what: string;
  /** `pod default/a`, `ippool 10.0.0.0-24`, `VF 0000:18:00.1`. */
  readonly about: string;
  readonly message: string;
}

/** As many as `railnet status` can show; the log has all. */
const MAX_KEPT = 50;

/** The most recent notes of this agent, newest last. */
export class Notes {
  readonly #kept: Note[] = [];

  /** A repeated note replaces the earlier one. */
  add(what: string, about: string, message: string): void {
    const same = this.#kept.findIndex((n) => n.what === what && n.about === about && n.message === message);
    if (same >= 0) this.#kept.splice(same, 1);
    this.#kept.push({ at: new Date().toISOString(), what, about, message });
    if (this.#kept.length > MAX_KEPT) this.#kept.shift();
  }

  /** A repeated note is left as it was. */
  addNew(what: string, about: string, message: string): void {
    if (!this.#kept.some((n) => n.what === what && n.about === about && n.message === message))
      this.add(what, about, message);
  }

  all(): readonly Note[] {
    return [...this.#kept];
  }
}
