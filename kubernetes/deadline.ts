import { setTimeout as sleep } from "node:timers/promises";

/** A call's time limit and its caller's signal, as one signal. */
export class Deadline implements Disposable {
  readonly limitMs: number;
  readonly #end: number;
  readonly #outer: AbortSignal | undefined;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(limitMs: number, outer: AbortSignal | undefined) {
    this.limitMs = limitMs;
    this.#end = performance.now() + limitMs;
    this.#outer = outer;
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#controller.abort();
    }, limitMs);
    if (outer?.aborted) this.#abort();
    else outer?.addEventListener("abort", this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the signal is aborted. */
  get why(): string {
    return this.#isOver ? `no answer within ${this.limitMs} ms` : "the caller gave up";
  }

  /** Waits, unless too little time would be left afterwards. @throws when the caller gives up. */
  async wait(ms: number): Promise<boolean> {
    if (performance.now() + ms >= this.#end) return false;
    await sleep(ms, undefined, { signal: this.signal });
    return true;
  }

  /** From now on only the caller's signal counts. */
  lift(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.lift();
    this.#outer?.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => this.#controller.abort();
}
