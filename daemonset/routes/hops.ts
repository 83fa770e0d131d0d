import type { AskPace } from "./pace.ts";
import { isUsed, judge, lose, suspect, type Way } from "./way.ts";

/** A way is used from now on, or no more. */
export interface Verdict {
  /** Its number. */
  readonly way: number;
  readonly isUsed: boolean;
}

/** What a token bucket has left when it is full, in seconds of its rate. */
const BURST_SECONDS = 0.1;

/**
 * What is known of every way, and which to ask now. Pure but for its state: times come in, questions and verdicts go out.
 * Ways that are suspect are asked first, then those that are up in turn, then those that prove themselves; together they never
 * exceed the budget.
 */
export class Hops {
  readonly #ways: Way[];
  readonly #pace: AskPace;
  readonly #order: readonly number[];
  readonly #answered = new Set<number>();
  /** Asked, and neither judged yet. */
  readonly #pending = new Set<number>();
  readonly #asked: { readonly atMs: number; readonly ways: readonly number[] }[] = [];
  #suspects: number[] = [];
  /** Those that are not used, with the time of their next question; the one that has waited longest comes first. */
  readonly #proving = new Map<number, number>();
  /** Where the turn of those that are up is. */
  #turn = 0;
  /** Turns that are due, questions that the budget has left, and those for ways that are down. */
  #due = 0;
  #budget: number;
  #downBudget: number;
  #lastMs: number;

  /** @param order of a turn; default: by number. */
  constructor(ways: readonly Way[], pace: AskPace, nowMs: number, order: readonly number[] = [...ways.keys()]) {
    this.#ways = [...ways];
    this.#order = order;
    this.#pace = pace;
    this.#lastMs = nowMs;
    this.#budget = pace.perSecond * BURST_SECONDS;
    this.#downBudget = ways.length; // at the start all are asked as soon as the whole budget lets them
    for (const [i, way] of ways.entries()) {
      if (!isUsed(way)) this.#proving.set(i, nowMs);
      else if (way.state === "suspect") this.#suspects.push(i);
    }
  }

  get ways(): readonly Way[] {
    return this.#ways;
  }

  /** It has answered. */
  answered(way: number): void {
    if (this.#pending.has(way)) this.#answered.add(way);
  }

  /** Somebody says that it has changed: asked at once, and not believed. */
  hint(way: number, nowMs: number): void {
    const known = this.#ways[way];
    if (!known) return;
    this.#ways[way] = suspect(known);
    if (known.state === "up") this.#suspects.push(way);
    else if (this.#proving.has(way)) this.#proving.set(way, nowMs);
  }

  /** The link of these ways has lost its carrier. */
  lose(ways: Iterable<number>, nowMs: number): Verdict[] {
    return [...ways].flatMap((way) => this.#become(way, lose(this.#ways[way]!, nowMs, this.#pace), nowMs));
  }

  /** To be called every few dozen ms, with all answers taken in. @returns what to ask now, and what has changed. */
  tick(nowMs: number): { readonly ask: readonly number[]; readonly verdicts: readonly Verdict[] } {
    const verdicts: Verdict[] = [];
    while (this.#asked[0] && nowMs - this.#asked[0].atMs >= this.#pace.answerMs)
      for (const way of this.#asked.shift()!.ways) {
        this.#pending.delete(way);
        const isAnswered = this.#answered.delete(way);
        if (isAnswered && this.#ways[way]!.state === "up") continue; // nearly all of them
        verdicts.push(...this.#become(way, judge(this.#ways[way]!, isAnswered, nowMs, this.#pace), nowMs));
      }
    this.#refill(nowMs);
    const ask = [...this.#nextSuspects(), ...this.#nextInTurn(), ...this.#nextProving(nowMs)];
    if (ask.length > 0) this.#asked.push({ atMs: nowMs, ways: ask });
    return { ask, verdicts };
  }

  #become(number: number, way: Way, nowMs: number): Verdict[] {
    const before = this.#ways[number]!;
    this.#ways[number] = way;
    this.#proving.delete(number); // to the end of the queue, or out of it
    if (way.state === "suspect") this.#suspects.push(number);
    if (!isUsed(way)) this.#proving.set(number, way.state === "down" ? nowMs + this.#pace.downMs : nowMs);
    return isUsed(before) === isUsed(way) ? [] : [{ way: number, isUsed: isUsed(way) }];
  }

  /** What is not used up in time is lost: a thread that slept does not make up for it. */
  #refill(nowMs: number): void {
    const { perSecond, downPerSecond, everyMs } = this.#pace;
    const seconds = Math.max(0, nowMs - this.#lastMs) / 1000;
    this.#lastMs = Math.max(nowMs, this.#lastMs);
    this.#budget = Math.min(perSecond * BURST_SECONDS, this.#budget + perSecond * seconds);
    const most = Math.max(downPerSecond * BURST_SECONDS, this.#downBudget);
    this.#downBudget = Math.min(most, this.#downBudget + downPerSecond * seconds);
    this.#due = Math.min(this.#ways.length, this.#due + (this.#ways.length * seconds * 1000) / everyMs);
  }

  /** @returns whether it may be asked now. */
  #take(way: number): boolean {
    if (this.#budget < 1 || this.#pending.has(way)) return false;
    this.#budget--;
    this.#pending.add(way);
    return true;
  }

  #nextSuspects(): number[] {
    const still = [...new Set(this.#suspects)].filter((way) => this.#ways[way]!.state === "suspect");
    const ask = still.filter((way) => this.#take(way));
    this.#suspects = still.filter((way) => !this.#pending.has(way));
    return ask;
  }

  #nextInTurn(): number[] {
    const ask: number[] = [];
    for (; this.#due >= 1 && this.#budget >= 1; this.#due--) {
      const way = this.#order[this.#turn]!;
      this.#turn = (this.#turn + 1) % this.#order.length;
      if (this.#ways[way]!.state === "up" && this.#take(way)) ask.push(way);
    }
    return ask;
  }

  #nextProving(nowMs: number): number[] {
    const ask: number[] = [];
    for (const [way, atMs] of this.#proving) {
      if (this.#budget < 1) break;
      const isDown = this.#ways[way]!.state === "down";
      if (atMs > nowMs || (isDown && this.#downBudget < 1) || !this.#take(way)) continue;
      if (isDown) this.#downBudget--;
      this.#proving.delete(way); // until it is judged
      ask.push(way);
    }
    return ask;
  }
}
