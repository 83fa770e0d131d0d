import { once } from "node:events";
import { ADOPTED, type NodeSlicePool, RECORDS_DECIDE } from "../../../ipam/whereabouts/objects.ts";
import { type KubeObject, NODE_SLICE_POOLS } from "../../../kubernetes/cluster.ts";
import { pause } from "../../loop.ts";
import type { Context } from "../context.ts";
import type { Reserved } from "../reserved.ts";
import { type AdoptContext, adopt, disown } from "./adopt.ts";
import { PoolViewWriter, type ViewOptions } from "./view.ts";

type PoolContext = AdoptContext & ViewOptions["context"] & Pick<Context, "mode">;

export interface LeaderPoolsOptions {
  /** Changes that arrive within this time form one round. Default 0.2 s. */
  readonly settleMs?: number;
  /** After a failure, or for a pool that cannot be adopted now, the next attempt. Default 30 s. */
  readonly retryMs?: number;
  /** Every pool is looked at this often even if nothing happens; sends nothing if nothing has changed. Default 10 min. */
  readonly refreshMs?: number;
  readonly maxRecords?: number;
}

/** A new leader reads all pools, one every this many ms: with node slices there is one for each node and rail. */
const START_MS_PER_POOL = 5;

/** The leader's work on one pool, one step at a time: adopts it, maintains its view, or removes the mark. */
class Keeper {
  readonly #reservations = new Map<string, Reserved>();
  readonly #name: string;
  readonly #context: PoolContext;
  readonly #options: Required<LeaderPoolsOptions>;
  readonly #others: () => Iterable<KubeObject["metadata"]>;
  readonly #view: PoolViewWriter;
  #metadata: KubeObject["metadata"] | undefined;
  /** Versions that the watch showed and that are not accounted for yet. */
  #seen = new Set<string>();
  #isDirty = true;
  /** When the oldest change that waits for a round arrived, and the oldest that the running one is for. */
  #waitsSinceMs: number | undefined;
  #worksSinceMs: number | undefined;
  #wake = (): void => {};

  /** @param others what is known of all pools. */
  constructor(
    name: string,
    context: PoolContext,
    options: Required<LeaderPoolsOptions>,
    others: () => Iterable<KubeObject["metadata"]>,
  ) {
    this.#name = name;
    this.#others = others;
    this.#context = context;
    this.#options = options;
    const { maxRecords } = options;
    this.#view = new PoolViewWriter({ name, context, slices: () => this.#slices(), maxRecords });
  }

  sawPool(metadata: KubeObject["metadata"] | undefined): void {
    this.#metadata = metadata;
    this.#seen.add(metadata?.resourceVersion ?? "");
    this.touch();
  }

  /** The pool's; undefined if it does not exist. */
  get metadata(): KubeObject["metadata"] | undefined {
    return this.#metadata;
  }

  remember(reserved: Reserved): void {
    this.#reservations.set(reserved.metadata.name, reserved);
    this.touch();
  }

  forget(reservation: string): void {
    if (this.#reservations.delete(reservation)) this.touch();
  }

  touch(sinceMs = performance.now()): void {
    this.#isDirty = true;
    this.#waitsSinceMs = Math.min(this.#waitsSinceMs ?? sinceMs, sinceMs);
    this.#wake();
  }

  /** How long a change has been waiting to appear in the pool. */
  lagMs(nowMs: number): number {
    const sinceMs = this.#worksSinceMs ?? this.#waitsSinceMs;
    return sinceMs === undefined ? 0 : nowMs - sinceMs;
  }

  /** @param delayMs before the first look, so that thousands of pools do not come at once. */
  async run(delayMs: number, signal: AbortSignal, modeSignal: () => AbortSignal): Promise<void> {
    const { settleMs, retryMs, refreshMs } = this.#options;
    await pause(delayMs, signal);
    while (!signal.aborted) {
      await pause(settleMs, signal);
      this.#isDirty = false;
      [this.#worksSinceMs, this.#waitsSinceMs] = [this.#waitsSinceMs, undefined];
      const isDone = await this.#tidy(AbortSignal.any([signal, modeSignal()]));
      if (!isDone) this.#waitsSinceMs = this.#worksSinceMs ?? this.#waitsSinceMs;
      this.#worksSinceMs = undefined;
      if (!isDone) await this.#rest(retryMs, signal);
      else if (!this.#isDirty) await this.#rest(refreshMs, signal);
    }
  }

  /** Until the time is over or something happens. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    if (!this.#isDirty) await pause(ms, AbortSignal.any([signal, woken.signal]));
  }

  /** @returns false if it must be tried again later. */
  async #tidy(signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#act(signal);
    } catch (err) {
      if (signal.aborted) return true;
      this.#context.log.warn({ err, pool: this.#name }, "cannot maintain a pool; retrying");
      return false;
    }
  }

  async #act(signal: AbortSignal): Promise<boolean> {
    const isAdopted = Boolean(this.#metadata?.annotations?.[ADOPTED]);
    const recordsDecide = Boolean(this.#metadata?.annotations?.[RECORDS_DECIDE]);
    if (this.#context.mode() === "coexist" || recordsDecide) {
      if (isAdopted) await disown(this.#name, this.#context, signal);
      this.#view.forget();
      return true;
    }
    if (this.#metadata && !isAdopted && !(await this.#adopt(signal))) return false;
    if (this.#seen.difference(this.#view.versions).size > 0) this.#view.forget();
    this.#seen = new Set();
    const outcome = await this.#view.round([...this.#reservations.values()], signal);
    if (outcome === "overtaken") this.touch(this.#worksSinceMs);
    return outcome !== "waits";
  }

  async #adopt(signal: AbortSignal): Promise<boolean> {
    const isReserved = this.#reservations.size > 0;
    const around = { isReserved, slices: await this.#slices(), others: this.#others() };
    return adopt(this.#name, around, this.#context, signal);
  }

  async #slices(): Promise<readonly NodeSlicePool[]> {
    return (await this.#context.cluster.list<NodeSlicePool>(NODE_SLICE_POOLS)).items;
  }
}

/** All pools of the cluster, as the leader sees them. */
export class LeaderPools {
  readonly #context: PoolContext;
  readonly #options: Required<LeaderPoolsOptions>;
  readonly #signal: AbortSignal;
  readonly #keepers = new Map<string, Keeper>();
  /** By name of the reservation. */
  readonly #poolOf = new Map<string, string>();
  readonly #work = new Set<Promise<void>>();
  #mode = new AbortController();
  #isRunning = false;

  constructor(context: PoolContext, options: LeaderPoolsOptions, signal: AbortSignal) {
    this.#context = context;
    this.#options = { settleMs: 200, retryMs: 30_000, refreshMs: 600_000, maxRecords: 8000, ...options };
    this.#signal = signal;
  }

  sawPool(metadata: KubeObject["metadata"], isThere: boolean): void {
    this.#keeper(metadata.name).sawPool(isThere ? metadata : undefined);
  }

  sawReservation(reserved: Reserved, isThere: boolean): void {
    const { name } = reserved.metadata;
    const before = this.#poolOf.get(name);
    if (before && !(isThere && before === reserved.pool)) {
      this.#poolOf.delete(name);
      this.#keeper(before).forget(name);
    }
    if (!isThere || !reserved.pool) return;
    this.#poolOf.set(name, reserved.pool);
    this.#keeper(reserved.pool).remember(reserved);
  }

  /** How long the oldest change has been waiting to appear in its pool. */
  get lagMs(): number {
    const nowMs = performance.now();
    return [...this.#keepers.values()].reduce((most, keeper) => Math.max(most, keeper.lagMs(nowMs)), 0);
  }

  /** Ends what was in progress under the other mode. */
  modeChanged(): void {
    this.#mode.abort();
    this.#mode = new AbortController();
    for (const keeper of this.#keepers.values()) keeper.touch();
  }

  /** Call when the first cache is complete: partial knowledge must not be acted on. Ends with the signal. */
  async run(): Promise<void> {
    this.#isRunning = true;
    for (const keeper of this.#keepers.values()) this.#start(keeper);
    if (!this.#signal.aborted) await once(this.#signal, "abort");
    await Promise.all(this.#work);
  }

  #keeper(name: string): Keeper {
    const known = this.#keepers.get(name);
    if (known) return known;
    const keeper = new Keeper(name, this.#context, this.#options, () => this.#known());
    this.#keepers.set(name, keeper);
    if (this.#isRunning) this.#start(keeper);
    return keeper;
  }

  *#known(): Generator<KubeObject["metadata"]> {
    for (const { metadata } of this.#keepers.values()) if (metadata) yield metadata;
  }

  #start(keeper: Keeper): void {
    const delayMs = Math.random() * START_MS_PER_POOL * this.#keepers.size;
    this.#work.add(keeper.run(delayMs, this.#signal, () => this.#mode.signal));
  }
}
