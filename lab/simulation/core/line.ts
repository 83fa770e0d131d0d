import type { Actor } from "./actor.ts";
import { simulation } from "./simulation.ts";

export interface LineOptions<T> {
  deliver(item: T): void;
  /** While it is, what was sent waits. */
  isCut(): boolean;
  /** Whose events the deliveries are. */
  actor(): Actor;
}

/** What comes over a connection, in order: what is late delays what comes behind it, and nothing is lost or overtaken while it is cut. */
export class Line<T> {
  readonly #options: LineOptions<T>;
  #items: { readonly atMs: number; readonly item: T }[] = [];
  #isWaiting = false;

  constructor(options: LineOptions<T>) {
    this.#options = options;
  }

  send(item: T, ms: number): void {
    this.#items.push({ atMs: simulation().nowMs + ms, item });
    this.pump();
  }

  /** To be called when it is whole again. */
  pump(): void {
    const { deliver, isCut, actor } = this.#options;
    const head = this.#items[0];
    if (!head || this.#isWaiting || isCut()) return;
    this.#isWaiting = true;
    const arrive = () => {
      this.#isWaiting = false;
      if (isCut() || this.#items[0] !== head) return this.pump();
      this.#items.shift();
      deliver(head.item);
      this.pump();
    };
    simulation().after(head.atMs - simulation().nowMs, arrive, actor());
  }

  clear(): void {
    this.#items = [];
    this.#isWaiting = false;
  }
}
