import { setImmediate } from "node:timers/promises";

/** How many sandboxes are remembered: more than start at once. */
const KEPT = 1000;

interface Waiting {
  readonly position: number;
  go(): void;
}

/**
 * Turns of the event loop for the kernel's work, which blocks the thread. One call has a turn at a time, and between two
 * turns pending input is handled: a call that is complete is answered before the next one begins. Among the waiting calls
 * the one whose sandbox came first is next: of many pods at once, the first has all its rails early.
 */
export class Turns {
  readonly #positions = new Map<string, number>();
  readonly #waiting: Waiting[] = [];
  #next = 0;

  /** Waits for a turn. @param sandbox its container ID. */
  take(sandbox: string): Promise<void> {
    const position = this.#positionOf(sandbox);
    const { promise, resolve: go } = Promise.withResolvers<void>();
    if (this.#waiting.push({ position, go }) === 1) void this.#give();
    return promise;
  }

  async #give(): Promise<void> {
    while (this.#waiting.length > 0) {
      await setImmediate();
      const first = this.#waiting.reduce((a, b) => (b.position < a.position ? b : a));
      this.#waiting.splice(this.#waiting.indexOf(first), 1);
      first.go();
    }
  }

  #positionOf(sandbox: string): number {
    const position = this.#positions.get(sandbox) ?? this.#next++;
    this.#positions.set(sandbox, position);
    const [oldest] = this.#positions.keys();
    if (this.#positions.size > KEPT) this.#positions.delete(oldest!);
    return position;
  }
}
