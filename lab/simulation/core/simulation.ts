import { type Actor, currentActor, runAs, runAsNobody } from "./actor.ts";
import { type Event, EventHeap } from "./heap.ts";
import { Random } from "./random.ts";
import { Trace } from "./trace.ts";

/** 2026-01-01: the wall clock of a machine whose clock is right, at the start. */
const WALL_START_MS = 1_767_225_600_000;

/** Node drains microtasks between two immediates of one batch: an event each, without a turn of the event loop. */
const BATCH = 128;

const realSetImmediate = globalThis.setImmediate;

/** One virtual time, one queue of events, one seed. Code takes no time. Knows nothing of Railnet. */
export class Simulation {
  readonly seed: string;
  readonly random: Random;
  readonly trace: Trace;
  nowMs = 0;
  /** Events so far. */
  steps = 0;
  /** Ends the run. */
  failure: Error | undefined;
  /** Called after each event, when all has run that follows from it at once. */
  afterStep: () => void = () => {};
  readonly #events = new EventHeap();
  #seq = 0;
  #isFirst = true;
  #isStopped = false;

  constructor(seed: string, { keepsTrace = false } = {}) {
    this.seed = seed;
    this.random = new Random(`${seed} simulation`);
    this.trace = new Trace(keepsTrace);
  }

  /** By the clock of the process that asks. */
  get wallMs(): number {
    return Math.floor(WALL_START_MS + this.nowMs + (currentActor()?.clock.wallOffsetMs ?? 0));
  }

  note(line: string): void {
    this.trace.add(this.nowMs, line);
  }

  /** @param actor whose event it is: it does not happen when that one is dead, and later when it is stopped. */
  after(ms: number, run: () => void, actor = currentActor()): Event {
    const event: Event = { at: this.nowMs + Math.max(ms, 0), seq: this.#seq++, actor, run };
    this.#events.push(event);
    return event;
  }

  /** Happens whoever dies. */
  afterForAll(ms: number, run: () => void): Event {
    return this.after(ms, run, NOBODY);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** The run ends before its time. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Runs events until there are none, `untilMs`, stop(), or a failure. */
  run(untilMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = 0;
    let isOver = false;
    const tick = () => {
      left--;
      if (!isOver) isOver = !this.#one(untilMs);
      if (left > 0) return;
      if (isOver) resolve();
      else more();
    };
    const more = () => {
      left = BATCH;
      for (let i = 0; i < BATCH; i++) realSetImmediate(tick);
    };
    more();
    return promise;
  }

  /** @returns false when there is nothing more to do. */
  #one(untilMs: number): boolean {
    if (!this.#isFirst) this.afterStep(); // of the event before: its microtasks have run
    this.#isFirst = false;
    if (this.failure || this.#isStopped) return false;
    for (;;) {
      const event = this.#events.first;
      if (!event || event.at > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        this.#isFirst = true;
        return false;
      }
      this.#events.pop();
      if (event.run && !event.actor?.isDead && !this.#isPutOff(event)) return this.#happen(event);
    }
  }

  #isPutOff(event: Event): boolean {
    if (!event.actor || event.actor.frozenUntilMs <= event.at) return false;
    event.at = event.actor.frozenUntilMs;
    this.#events.push(event);
    return true;
  }

  #happen(event: Event): true {
    this.nowMs = event.at;
    this.steps++;
    const run = event.run!;
    event.run = undefined;
    if (event.actor && event.actor !== NOBODY) runAs(event.actor, run);
    else runAsNobody(run);
    return true;
  }
}

/** Stands for no process at all. */
const NOBODY = { name: "nobody", isDead: false, frozenUntilMs: 0 } as unknown as Actor;

let current: Simulation | undefined;

/** The one that runs in this process. */
export function simulation(): Simulation {
  if (!current) throw new Error("no simulation runs");
  return current;
}

export function setSimulation(next: Simulation): void {
  current = next;
}
