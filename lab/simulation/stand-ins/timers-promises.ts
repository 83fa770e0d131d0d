// In the place of node:timers/promises.
import { simulation } from "../core/simulation.ts";

interface Options {
  readonly signal?: AbortSignal;
  readonly ref?: boolean;
}

export function setTimeout<T>(ms = 1, value?: T, { signal }: Options = {}): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new DOMException("The operation was aborted", "AbortError"));
    if (signal?.aborted) return fail();
    const onAbort = () => {
      event.run = undefined;
      fail();
    };
    const event = simulation().after(ms, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve(value as T);
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

export const setImmediate = <T>(value?: T, options: Options = {}): Promise<T> => setTimeout(0, value, options);
