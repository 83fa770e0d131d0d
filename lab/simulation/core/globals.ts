import { currentActor } from "./actor.ts";
import type { Event } from "./heap.ts";
import { simulation } from "./simulation.ts";

/** The clock of the machine itself. */
export const realNowMs: () => number = performance.now.bind(performance);

const RealDate = globalThis.Date;

const random = () => currentActor()?.random ?? simulation().random;

/** Gives all code of this process the simulation's time and chance instead of the machine's. For the life of the process. */
export function replaceGlobals(): void {
  Object.assign(globalThis, {
    setTimeout: (run: Callback, ms = 1, ...args: unknown[]) => new Timer(run, ms, args),
    clearTimeout: clear,
    setInterval: (run: () => void, ms: number) => new Interval(run, ms),
    clearInterval: clear,
    setImmediate: (run: Callback, ...args: unknown[]) => new Timer(run, 0, args),
    clearImmediate: clear,
    Date: VirtualDate,
  });
  Object.defineProperty(performance, "now", { value: () => simulation().nowMs, configurable: true });
  Math.random = () => random().next();
  crypto.randomUUID = () => random().uuid() as ReturnType<Crypto["randomUUID"]>;
  AbortSignal.timeout = (ms) => {
    const controller = new AbortController();
    new Timer(() => controller.abort(new DOMException("The operation timed out.", "TimeoutError")), ms, []);
    return controller.signal;
  };
}

type Callback = (...args: unknown[]) => void;

class VirtualDate extends RealDate {
  constructor(...args: [] | [number]) {
    if (args.length === 0) super(simulation().wallMs);
    else super(...args);
  }

  static override now(): number {
    return simulation().wallMs;
  }
}

/** As Node's Timeout. */
class Timer {
  protected event: Event;
  readonly #run: Callback;
  readonly #ms: number;
  readonly #args: unknown[];

  constructor(run: Callback, ms: number, args: unknown[]) {
    this.#run = run;
    this.#ms = Number(ms) || 0;
    this.#args = args;
    this.event = this.#begin();
  }

  #begin(): Event {
    return simulation().after(this.#ms, () => this.#run(...this.#args));
  }

  clear(): void {
    this.event.run = undefined;
  }

  refresh(): this {
    this.clear();
    this.event = this.#begin();
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

class Interval extends Timer {
  constructor(run: () => void, ms: number) {
    const again = () => {
      run();
      this.event = simulation().after(ms, again);
    };
    super(again, ms, []);
  }
}

function clear(timer: unknown): void {
  if (timer instanceof Timer) timer.clear();
}
