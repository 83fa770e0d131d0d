/** For how long a value has been unchanged, as seen by this process. Wall clocks jump, and no two machines agree. */
export class Unchanged {
  #value: string | undefined | null = null;
  #sinceMs = 0;

  /** @param value its current value. @returns 0 when it is new. */
  forMs(value: string | undefined): number {
    const nowMs = performance.now();
    if (value !== this.#value) this.#sinceMs = nowMs;
    this.#value = value;
    return nowMs - this.#sinceMs;
  }
}
