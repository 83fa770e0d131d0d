/** One run at a time. Calls that arrive during a run share the next one, so that what it sees is no older than they are. */
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
