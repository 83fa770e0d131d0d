import { writeSync } from "node:fs";
import { isatty } from "node:tty";

const STDERR = 2;
/** Work that is finished sooner shows nothing. */
const QUIET_MS = { terminal: 1_000, file: 5_000 };
/** On a terminal the line is updated, in a file a line is added. */
const EVERY_MS = { terminal: 200, file: 5_000 };

/** Progress of long work, on standard error: standard output is for the answer alone. */
export class Progress implements Disposable {
  readonly #isTerminal = isatty(STDERR);
  readonly #sinceMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #text = "";
  #shownMs = Number.NEGATIVE_INFINITY;
  #width = 0;

  constructor() {
    this.#timer = setInterval(() => this.#show(), EVERY_MS.terminal);
    this.#timer.unref();
  }

  /** What is being done now, and how much of it is finished. */
  at(what: string, done?: number, total?: number): void {
    this.#text = what + (total ? ` ${done} of ${total} (${Math.floor(((done ?? 0) * 100) / total)} %)` : "");
  }

  /** A line that stays. */
  say(line: string): void {
    this.#wipe();
    write(`${line}\n`);
  }

  /** Counts down. */
  async wait(what: string, ms: number): Promise<void> {
    for (const endMs = performance.now() + ms; ; ) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return;
      this.at(`${what}: ${Math.ceil(leftMs / 1000)} s left`);
      await new Promise((resolve) => setTimeout(resolve, Math.min(leftMs, 1000)));
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#wipe();
  }

  #show(): void {
    const nowMs = performance.now();
    const reader = this.#isTerminal ? "terminal" : "file";
    const isDue = nowMs - this.#shownMs >= EVERY_MS[reader];
    if (!this.#text || !isDue || nowMs - this.#sinceMs < QUIET_MS[reader]) return;
    this.#shownMs = nowMs;
    write(this.#isTerminal ? `\r${this.#text.padEnd(this.#width)}` : `${this.#text}\n`);
    this.#width = this.#text.length;
  }

  #wipe(): void {
    if (this.#isTerminal && this.#width > 0) write(`\r${" ".repeat(this.#width)}\r`);
    this.#width = 0;
  }
}

function write(text: string): void {
  try {
    writeSync(STDERR, text);
  } catch {
    // there may be nobody who reads it
  }
}
