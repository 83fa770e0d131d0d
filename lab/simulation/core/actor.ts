import { AsyncLocalStorage } from "node:async_hooks";
import { Random } from "./random.ts";

/** Thrown into the code of a process that was killed; nothing that it does afterwards has an effect. */
export class Killed extends Error {
  override readonly name = "Killed";
}

/** Also where code of the process said it in other words, or met it while it ended something else. */
export function isKilled(error: unknown): boolean {
  if (error instanceof Killed) return true;
  if (error instanceof SuppressedError) return isKilled(error.error) || isKilled(error.suppressed);
  return error instanceof Error && error.cause !== undefined && isKilled(error.cause);
}

/** A process of the simulation. Code is its own that was started as it, and all that follows from that (AsyncLocalStorage). */
export class Actor {
  readonly name: string;
  readonly random: Random;
  /** What the wall clock of its machine is ahead. */
  readonly clock: { wallOffsetMs: number };
  isDead = false;
  /** Stopped until then, as by SIGSTOP or a machine that pauses: time goes on for it, its code does not. */
  frozenUntilMs = 0;
  /** Whatever the edges need: its disk, its network. */
  readonly place: unknown;

  constructor(name: string, seed: string, place?: unknown, clock = { wallOffsetMs: 0 }) {
    this.name = name;
    this.random = new Random(`${seed} ${name}`);
    this.place = place;
    this.clock = clock;
  }
}

const context = new AsyncLocalStorage<Actor>();

export const currentActor = (): Actor | undefined => context.getStore();
export const runAs = <T>(actor: Actor, work: () => T): T => context.run(actor, work);
export const runAsNobody = <T>(work: () => T): T => context.exit(work);
