import { setImmediate } from "node:timers/promises";

/** Sandboxes that it remembers: more than come up at once. */
const KEPT = 1000;

interface Waiting {
  readonly position: number;
  go(): void;
}

/**
 * Turns of the event loop for the kernel's work, during which the thread stands still. One call has a turn at a time, and
 * between two of them what has come in is dealt with: a call with all it needs is answered before the next one begins. Of
 * those that wait, the one whose sandbox came first is next: of many pods at once, the first has all its rails early.
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
