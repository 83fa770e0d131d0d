import type { Mode } from "../../mode.ts";
import type { IpPool } from "../../whereabouts/objects.ts";
import type { Pool } from "../store.ts";
import { PoolView } from "./pool-view.ts";
import type { Pools } from "./pools.ts";
import type { Reservations } from "./reservations.ts";
import { Shared } from "./shared.ts";

/** How often a pool that is not adopted is checked for adoption. */
const ADOPTION_MS = 5_000;

/** Maximum age of a view beside a running Whereabouts: its pods may come to us with their addresses. */
const COEXIST_MS = 10_000;

export interface ViewsOptions {
  readonly pools: Pools;
  readonly reservations: Reservations;
  mode(): Mode;
  /** Whether no other pool has addresses of this one. */
  isAlone(pool: Pool): Promise<boolean>;
  /** Changes when the cluster's settings were written, so its mode may have been different in between. */
  epoch(): string;
  clock(): number;
}

interface Entry {
  readonly view: PoolView;
  readonly looks: Shared;
  /** When its records and adoption were last as on the server. */
  seenAt: number;
  adoptionSeenAt: number;
}

/** The views of all pools that this process uses. @throws {ApiError} from every method. */
export class Views {
  readonly #options: ViewsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #loads = new Map<string, Promise<Entry | undefined>>();
  /** Names of pools that were seen to be adopted while nobody needed their records. */
  readonly #adopted = new Set<string>();
  #mode: Mode;
  #epoch: string;

  constructor(options: ViewsOptions) {
    this.#options = options;
    this.#mode = options.mode();
    this.#epoch = options.epoch();
  }

  /** Creates the pool if it does not exist. One request at first use; then from the cache. */
  async get(pool: Pool): Promise<PoolView> {
    const entry = await this.#made(pool);
    // First used by others, for whom reservations count, or read when the mode was another one: it has still to be marked.
    const isDecided = entry.view.recordsDecide || (entry.view.isAdopted && this.#mode === "absent");
    if (!pool.overlapping && !isDecided) await this.reread(entry.view, pool);
    if (this.#mode === "coexist" && this.#isOlder(entry.seenAt, COEXIST_MS)) await this.#look(entry, false);
    return entry.view;
  }

  /** The server's current state, with all reservations. */
  async refreshed(pool: Pool): Promise<PoolView> {
    const entry = await this.#made(pool);
    await this.#look(entry, true);
    return entry.view;
  }

  /** Undefined if there is no such pool: it is not created. */
  async existing(pool: Pool): Promise<PoolView | undefined> {
    return (this.#known(pool) ?? (await this.#load(pool, (name) => this.#options.pools.get(name))))?.view;
  }

  /** The cached view, if any. */
  known(pool: Pool): PoolView | undefined {
    return this.#known(pool)?.view;
  }

  /** Reads the records of a pool again; creates the pool again if it was deleted. */
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
   * opposite may arrive as one, so cached adoptions are dropped with every write of the settings.
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
      if (entry) return entry; // otherwise it shared a request with a call that creates none
    }
  }

  /** Concurrent calls share one request. @returns undefined if there is no such pool. */
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
