/** What happened, line by line, and the hash of it: equal runs have equal hashes. */
export class Trace {
  readonly lines: string[] = [];
  readonly #keeps: boolean;
  /** FNV-1a. */
  #hash = 0x811c9dc5;

  /** @param keeps whether the lines are kept, not their hash alone. */
  constructor(keeps: boolean) {
    this.#keeps = keeps;
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  add(ms: number, line: string): void {
    const text = `${ms.toFixed(3)} ${line}`;
    for (let i = 0; i < text.length; i++) this.#hash = Math.imul(this.#hash ^ text.charCodeAt(i), 0x01000193);
    if (this.#keeps) this.lines.push(text);
  }
}
