import type { Actor } from "./actor.ts";

/** Something that happens at a time. Without `run` it was cancelled. */
export interface Event {
  at: number;
  readonly seq: number;
  readonly actor: Actor | undefined;
  run: (() => void) | undefined;
}

/** Events by time, then by order of arrival. */
export class EventHeap {
  readonly #items: Event[] = [];

  get first(): Event | undefined {
    return this.#items[0];
  }

  push(event: Event): void {
    const items = this.#items;
    let i = items.push(event) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!isBefore(event, items[up]!)) break;
      items[i] = items[up]!;
      i = up;
    }
    items[i] = event;
  }

  /** Takes the first one away. */
  pop(): void {
    const items = this.#items;
    const last = items.pop()!;
    if (items.length === 0) return;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      if (down >= items.length) break;
      if (down + 1 < items.length && isBefore(items[down + 1]!, items[down]!)) down++;
      if (!isBefore(items[down]!, last)) break;
      items[i] = items[down]!;
      i = down;
    }
    items[i] = last;
  }
}

const isBefore = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.seq < b.seq);
