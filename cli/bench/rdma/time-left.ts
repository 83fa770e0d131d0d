/** How long work of many like parts still takes, by what it has taken so far. */
export class TimeLeft {
  readonly #total: number;
  readonly #nowMs: () => number;
  readonly #beganMs: number;

  constructor(total: number, nowMs: () => number) {
    this.#total = total;
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
  }

  /** `about 40 s left`, `about 12 min left`, `about 3.5 h left`. */
  after(done: number): string {
    if (done === 0) return "time left is not known yet";
    const seconds = ((this.#nowMs() - this.#beganMs) / 1000) * ((this.#total - done) / done);
    if (seconds < 100) return `about ${Math.ceil(seconds)} s left`;
    return seconds < 6000 ? `about ${Math.ceil(seconds / 60)} min left` : `about ${(seconds / 3600).toFixed(1)} h left`;
  }
}
