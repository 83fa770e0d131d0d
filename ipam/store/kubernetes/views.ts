import type { Mode } from "../../kubernetes/mode.ts";
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
  readonly createsAdopted: boolean;
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

  constructor(options: ViewsOptions) {
    this.#options = options;
    this.#mode = options.mode();
  }

  /** Of a pool that is made when it is not there. One request at first use; then what is remembered. */
  async get(pool: Pool): Promise<PoolView> {
    const entry = await this.#made(pool);
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
  async reread(view: PoolView): Promise<void> {
    const { pools } = this.#options;
    view.update(await pools.ensure(view.pool, this.#isBornAdopted(view.pool)));
    const entry = this.#entries.get(view.pool.name);
    if (entry?.view === view) entry.seenAt = entry.adoptionSeenAt = this.#options.clock();
  }

  async isAdopted(pool: Pool, signal?: AbortSignal): Promise<boolean> {
    const entry = this.#known(pool);
    if (entry?.view.isAdopted || this.#adopted.has(pool.name)) return true;
    if (entry && !this.#isOlder(entry.adoptionSeenAt, ADOPTION_MS)) return false;
    const is = await this.#options.pools.isAdopted(pool.name, signal);
    if (is) this.#adopted.add(pool.name);
    if (!entry) return is;
    entry.view.isAdopted = is;
    entry.adoptionSeenAt = this.#options.clock();
    return is;
  }

  /** When the cluster's mode changes, what was adopted in the old one may have to be adopted again. */
  #known(pool: Pool): Entry | undefined {
    const mode = this.#options.mode();
    if (mode !== this.#mode) for (const known of [this.#entries, this.#adopted]) known.clear();
    this.#mode = mode;
    return this.#entries.get(pool.name);
  }

  async #made(pool: Pool): Promise<Entry> {
    const make = () => this.#options.pools.ensure(pool, this.#isBornAdopted(pool));
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
      if (!withReservations || !entry.view.pool.overlapping) return;
      const { network } = entry.view.pool;
      const isLabelled = this.#mode === "absent" && entry.view.isAdopted;
      entry.view.updateReservations(await this.#options.reservations.all(network, isLabelled));
    });
  }

  #isBornAdopted({ overlapping }: Pool): boolean {
    return this.#options.createsAdopted && overlapping && this.#options.mode() === "absent";
  }

  #isOlder(since: number, ms: number): boolean {
    return this.#options.clock() - since > ms;
  }
}
