/** One piece of work at a time. Calls that come while it runs share the next run: what it sees is not older than they are. */
export class Shared {
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  run(work: () => Promise<void>): Promise<void> {
    if (!this.#running) return this.#start(work);
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.#start(work);
      });
    return this.#next;
  }

  #start(work: () => Promise<void>): Promise<void> {
    const running = work().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
