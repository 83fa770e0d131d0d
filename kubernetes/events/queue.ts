import type { EventRequest, Times } from "./kube-event.ts";

/** An event that is not written yet, with how often it came meanwhile. */
export interface Waiting extends Times {
  readonly key: string;
  readonly event: EventRequest;
}

export interface QueueLimits {
  /** More kinds of events than this do not wait at once. */
  readonly length: number;
  /** What could not be written for so long is of no use any more. */
  readonly ageMs: number;
}

/** What is the same happens to the same object for the same reason. */
const keyOf = ({ about, reason, message, sameness = message }: EventRequest): string =>
  [about.resource.plural, about.namespace, about.name, about.uid ?? "", reason, sameness].join("\0");

/** Events that wait to be written, the same ones as one. Bounded: what does not fit, or waits too long, is dropped. */
export class EventQueue {
  readonly #limits: QueueLimits;
  readonly #waiting = new Map<string, Waiting>();
  #dropped = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** How many events were given up. */
  get dropped(): number {
    return this.#dropped;
  }

  get length(): number {
    return this.#waiting.size;
  }

  add(event: EventRequest, nowMs = performance.now()): void {
    const key = keyOf(event);
    const before = this.#waiting.get(key);
    if (!before && this.#waiting.size >= this.#limits.length) this.#dropped++;
    else this.#put({ key, event, count: 1, firstMs: nowMs, lastMs: nowMs }, before);
  }

  /** Of those that `isDue`, the oldest warning, else the oldest; it waits no longer. */
  take(isDue: (key: string) => boolean, nowMs = performance.now()): Waiting | undefined {
    for (const [key, { firstMs, count }] of this.#waiting)
      if (nowMs - firstMs > this.#limits.ageMs && this.#waiting.delete(key)) this.#dropped += count;
    const due = [...this.#waiting.values()].filter(({ key }) => isDue(key));
    const next = due.find(({ event }) => event.type === "Warning") ?? due[0];
    if (next) this.#waiting.delete(next.key);
    return next;
  }

  /** It could not be written: it waits again, together with what came meanwhile. */
  putBack(waiting: Waiting): void {
    const newer = this.#waiting.get(waiting.key);
    if (!newer && this.#waiting.size >= this.#limits.length) this.drop(waiting);
    else this.#put(newer ?? waiting, newer && waiting);
  }

  drop({ count }: Waiting): void {
    this.#dropped += count;
  }

  #put(newer: Waiting, older: Waiting | undefined): void {
    const { count, firstMs } = older ?? { count: 0, firstMs: newer.firstMs };
    this.#waiting.set(newer.key, { ...newer, count: newer.count + count, firstMs: Math.min(firstMs, newer.firstMs) });
  }
}
