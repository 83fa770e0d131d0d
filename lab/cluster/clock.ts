import { execFileSync } from "node:child_process";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";

/** The wall clock of processes started with `env`. Timers and the monotonic clock are not affected. */
export class Clock {
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  /** @param folder for the preloaded library, and for the clock's own file. */
  constructor(folder: string, name: string) {
    const library = `${folder}/clock.so`;
    const source = new URL("clock.c", import.meta.url).pathname;
    execFileSync("gcc", [
      "-std=gnu17",
      "-O2",
      "-Wall",
      "-Wextra",
      "-Werror",
      "-shared",
      "-fPIC",
      "-o",
      library,
      source,
    ]);
    this.#file = `${folder}/clock-${name}`;
    writeFileSync(this.#file, Buffer.alloc(8));
    this.env = { LD_PRELOAD: library, TEST_CLOCK: this.#file };
  }

  /** From now on it is this many hours before (negative) or after the machine's. */
  jump(hours: number): void {
    const seconds = BigInt.asUintN(64, BigInt(Math.round(hours * 3600)));
    const fd = openSync(this.#file, "r+");
    writeSync(fd, new BigUint64Array([seconds]));
    closeSync(fd);
  }
}
