import type { EventRequest, Times } from "./kube-event.ts";

/** An event that is not written yet, with how often it has happened meanwhile. */
export interface Waiting extends Times {
  readonly key: string;
  readonly event: EventRequest;
}

export interface QueueLimits {
  /** The most kinds of events that wait at once. */
  readonly length: number;
  /** Events older than this are dropped as useless. */
  readonly ageMs: number;
}

/** Events are the same if object, reason and message (or `sameness`) are. */
const keyOf = ({ about, reason, message, sameness = message }: EventRequest): string =>
  [about.resource.plural, about.namespace, about.name, about.uid ?? "", reason, sameness].join("\0");

/** Events waiting to be written, equal ones merged. Bounded: what does not fit, or waits too long, is dropped. */
export class EventQueue {
  readonly #limits: QueueLimits;
  readonly #waiting = new Map<string, Waiting>();
  #dropped = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** How many events were dropped. */
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

  /** Removes and returns the oldest warning among those that `isDue`, else the oldest event. */
  take(isDue: (key: string) => boolean, nowMs = performance.now()): Waiting | undefined {
    for (const [key, { firstMs, count }] of this.#waiting)
      if (nowMs - firstMs > this.#limits.ageMs && this.#waiting.delete(key)) this.#dropped += count;
    const due = [...this.#waiting.values()].filter(({ key }) => isDue(key));
    const next = due.find(({ event }) => event.type === "Warning") ?? due[0];
    if (next) this.#waiting.delete(next.key);
    return next;
  }

  /** Writing failed: it waits again, merged with what has come meanwhile. */
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
