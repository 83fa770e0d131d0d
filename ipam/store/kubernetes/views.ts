import type { Mode } from "../../mode.ts";
import type { IpPool } from "../../whereabouts/objects.ts";
import type { Pool } from "../store.ts";
import { PoolView } from "./pool-view.ts";
import type { Pools } from "./pools.ts";
import type { Reservations } from "./reservations.ts";
import { Shared } from "./shared.ts";

/** How often a pool that is not adopted is asked whether it is now. */
const ADOPTION_MS = 5_000;

/** Beside a live Whereabouts no view is older: its pods may come to us with their addresses. */
const COEXIST_MS = 10_000;

export interface ViewsOptions {
  readonly pools: Pools;
  readonly reservations: Reservations;
  mode(): Mode;
  /** Whether no other pool has addresses of this one. */
  isAlone(pool: Pool): Promise<boolean>;
  /** Another value: the cluster's settings were written since, so its mode may have been another one in between. */
  epoch(): string;
  clock(): number;
}

interface Entry {
  readonly view: PoolView;
  readonly looks: Shared;
  /** When its records, and whether it is adopted, were last as the server has them. */
  seenAt: number;
  adoptionSeenAt: number;
}

/** The views of all pools that this process has to do with. @throws {ApiError} from every method. */
export class Views {
  readonly #options: ViewsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #loads = new Map<string, Promise<Entry | undefined>>();
  /** Names of pools that were seen to be adopted, though nobody needed their records. */
  readonly #adopted = new Set<string>();
  #mode: Mode;
  #epoch: string;

  constructor(options: ViewsOptions) {
    this.#options = options;
    this.#mode = options.mode();
    this.#epoch = options.epoch();
  }

  /** Of a pool that is made when it is not there. One request at first use; then what is remembered. */
  async get(pool: Pool): Promise<PoolView> {
    const entry = await this.#made(pool);
    // First used by others, who count reservations: it is still to be marked.
    if (!pool.overlapping && !entry.view.recordsDecide && !entry.view.isAdopted) await this.reread(entry.view, pool);
    if (this.#mode === "coexist" && this.#isOlder(entry.seenAt, COEXIST_MS)) await this.#look(entry, false);
    return entry.view;
  }

  /** As the server has it now, with all reservations. */
  async refreshed(pool: Pool): Promise<PoolView> {
    const entry = await this.#made(pool);
    await this.#look(entry, true);
    return entry.view;
  }

  /** Undefined when there is no such pool: it is not made. */
  async existing(pool: Pool): Promise<PoolView | undefined> {
    return (this.#known(pool) ?? (await this.#load(pool, (name) => this.#options.pools.get(name))))?.view;
  }

  /** What is remembered, if anything is. */
  known(pool: Pool): PoolView | undefined {
    return this.#known(pool)?.view;
  }

  /** The records of a pool, read again; the pool is made again when somebody deleted it. */
  async reread(view: PoolView, as = view.pool): Promise<void> {
    view.update(await this.#options.pools.ensure(as));
    const entry = this.#entries.get(view.pool.name);
    if (entry?.view === view) entry.seenAt = entry.adoptionSeenAt = this.#options.clock();
  }

  async isAdopted(pool: Pool, signal?: AbortSignal): Promise<boolean> {
    const entry = this.#known(pool);
    if (entry?.view.isAdopted || this.#adopted.has(pool.name)) return true;
    if (entry?.view.recordsDecide) return false;
    if (entry && !this.#isOlder(entry.adoptionSeenAt, ADOPTION_MS)) return false;
    const is = await this.#options.pools.isAdopted(pool.name, signal);
    if (is) this.#adopted.add(pool.name);
    if (!entry) return is;
    entry.view.isAdopted = is;
    entry.adoptionSeenAt = this.#options.clock();
    return is;
  }

  /**
   * When the cluster's mode changes, what was adopted in the old one may have to be adopted again; a change and its
   * opposite may come as one, so what is remembered of adoptions ends with every write of the settings.
   */
  #known(pool: Pool): Entry | undefined {
    const [mode, epoch] = [this.#options.mode(), this.#options.epoch()];
    if (mode !== this.#mode) this.#entries.clear();
    if (mode !== this.#mode || epoch !== this.#epoch) this.#forgetAdoptions();
    [this.#mode, this.#epoch] = [mode, epoch];
    return this.#entries.get(pool.name);
  }

  #forgetAdoptions(): void {
    this.#adopted.clear();
    for (const entry of this.#entries.values()) {
      entry.view.isAdopted = entry.view.recordsDecide = false;
      entry.adoptionSeenAt = Number.NEGATIVE_INFINITY;
    }
  }

  async #made(pool: Pool): Promise<Entry> {
    const make = () => this.#options.pools.ensure(pool);
    for (;;) {
      const entry = this.#known(pool) ?? (await this.#load(pool, make));
      if (entry) return entry; // else it came together with a call that makes none
    }
  }

  /** Calls that come together share one request. @returns undefined when there is no such pool. */
  #load(pool: Pool, get: (name: string) => Promise<IpPool | undefined>): Promise<Entry | undefined> {
    const running = this.#loads.get(pool.name);
    if (running) return running;
    const load = get(pool.name)
      .then((object) => object && this.#remember(pool, object))
      .finally(() => this.#loads.delete(pool.name));
    this.#loads.set(pool.name, load);
    return load;
  }

  #remember(pool: Pool, object: IpPool): Entry {
    const now = this.#options.clock();
    const entry: Entry = { view: new PoolView(pool, object), looks: new Shared(), seenAt: now, adoptionSeenAt: now };
    this.#entries.set(pool.name, entry);
    return entry;
  }

  #look(entry: Entry, withReservations: boolean): Promise<void> {
    return entry.looks.run(async () => {
      await this.reread(entry.view);
      if (!withReservations || !(entry.view.pool.overlapping || entry.view.isAdopted)) return;
      const { network } = entry.view.pool;
      const isLabelled = this.#mode === "absent" && entry.view.isAdopted;
      const isAlone = isLabelled && (await this.#options.isAlone(entry.view.pool));
      const which = isAlone ? { network, pool: entry.view.pool.name } : { network };
      entry.view.updateReservations(await this.#options.reservations.all(which, isLabelled));
    });
  }

  #isOlder(since: number, ms: number): boolean {
    return this.#options.clock() - since > ms;
  }
}
