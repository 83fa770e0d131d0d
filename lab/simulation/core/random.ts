/** Chance by seed (sfc32): the same numbers on every machine. A part of the world has one of its own, so that others do not shift it. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  constructor(seed: string) {
    let [a, b, c] = [0x9e3779b9, 0x243f6a88, 0xb7e15162];
    for (let i = 0; i < seed.length; i++) {
      const k = seed.charCodeAt(i);
      a = Math.imul(a ^ k, 0x85ebca6b);
      b = Math.imul(b ^ k ^ (a >>> 13), 0xc2b2ae35);
      c = Math.imul(c ^ k ^ (b >>> 16), 0x27d4eb2f);
    }
    [this.#a, this.#b, this.#c] = [a | 0, b | 0, c | 0];
    for (let i = 0; i < 15; i++) this.next();
  }

  /** As Math.random(). */
  next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return (t >>> 0) / 4294967296;
  }

  /** A whole number below `n`. */
  int(n: number): number {
    return Math.floor(this.next() * n);
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  chance(odds: number): boolean {
    return this.next() < odds;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)]!;
  }

  hex(digits: number): string {
    let text = "";
    while (text.length < digits) text += this.int(0x10000).toString(16).padStart(4, "0");
    return text.slice(0, digits);
  }

  uuid(): string {
    const hex = this.hex(32);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}
