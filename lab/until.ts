import { setTimeout as sleep } from "node:timers/promises";

/** A machine that does ten other things takes its time; a wait that long costs it only where something is wrong. */
const PATIENCE_MS = 120_000;
const FIRST_PAUSE_MS = 5;

export interface UntilOptions {
  /** Where the product promises a time, or something takes longer. */
  readonly limitMs?: number;
  /** The longest pause between two looks. */
  readonly everyMs?: number;
}

/**
 * Looks until what is seen is as wanted, soon at first, then ever more seldom.
 *
 * @param isIt whether it is; without: what is seen is true.
 * @returns what was seen.
 * @throws {Error} naming it, with what was seen last, when it never was.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  isIt: (seen: T) => boolean,
  options?: UntilOptions,
): Promise<T>;
export async function until(
  what: string,
  look: () => Promise<boolean> | boolean,
  options?: UntilOptions,
): Promise<void>;
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  isItOrOptions: ((seen: T) => boolean) | UntilOptions = {},
  options?: UntilOptions,
): Promise<T> {
  const isIt = typeof isItOrOptions === "function" ? isItOrOptions : Boolean;
  const rest = typeof isItOrOptions === "function" ? options : isItOrOptions;
  const { limitMs = PATIENCE_MS, everyMs = 50 } = rest ?? {};
  const end = performance.now() + limitMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.2, everyMs)) {
    const seen = await look();
    if (isIt(seen)) return seen;
    if (performance.now() > end)
      throw new Error(`${what}: not so after ${limitMs / 1000} s; last seen ${JSON.stringify(seen)?.slice(0, 4000)}`);
    await sleep(pauseMs);
  }
}
