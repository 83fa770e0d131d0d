/** For how long a value has been as it is, as far as this process saw it. Wall clocks jump, and no two machines' agree. */
export class Unchanged {
  #value: string | undefined | null = null;
  #sinceMs = 0;

  /** @param value as it is now. @returns 0 when it is new. */
  forMs(value: string | undefined): number {
    const nowMs = performance.now();
    if (value !== this.#value) this.#sinceMs = nowMs;
    this.#value = value;
    return nowMs - this.#sinceMs;
  }
}
