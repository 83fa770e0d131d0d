/** An address that was taken from a pod, and why that was right. */
export interface Freed {
  readonly reservation: string;
  readonly pool: string;
  readonly podref: string;
  readonly ifname: string;
  readonly containerID: string;
  /** Name of the node that had claimed it, empty when Whereabouts did. */
  readonly owner: string;
  readonly evidence: string;
  /** ISO 8601: when it first looked abandoned, and when it was freed. */
  readonly since: string;
  readonly at: string;
}

/** How many are kept: enough to answer "who took my address" a day later. */
const MAX_KEPT = 1000;

/** The most recently freed addresses, newest last. */
export class FreedHistory {
  #kept: Freed[] = [];

  add(freed: Freed): void {
    this.#kept.push(freed);
    if (this.#kept.length > 2 * MAX_KEPT) this.#kept = this.#kept.slice(-MAX_KEPT);
  }

  all(): readonly Freed[] {
    return this.#kept.slice(-MAX_KEPT);
  }
}
