import type { ClaimRecord } from "../../../ipam/journal.ts";
import { reservationName } from "../../../ipam/whereabouts/names.ts";
import { LABEL, labelValue, type Reservation, textOf } from "../../../ipam/whereabouts/objects.ts";
import { RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { pause, repeat } from "../../loop.ts";
import type { Context } from "../context.ts";
import { compactor, type Reserved } from "../reserved.ts";
import { claimsToKeep } from "./plan-heal.ts";
import type { Sandboxes } from "./sandboxes.ts";

/** Within this time each claim has its turn. */
const TURN_MS = 600_000;

/** Between two lists of everything this node has, which shows what its journal does not know: rare, as each reads all there are. */
const LIST_MS = 4 * 3_600_000;

export interface OwnTurnsOptions {
  readonly sandboxes: Pick<Sandboxes, "journal" | "isAlive">;
  readonly signal: AbortSignal;
  /** Default {@link TURN_MS}. */
  readonly turnMs?: number;
  /** A claim of a running sandbox was found missing. */
  onMissing(): void;
  /** More is lost than anybody is likely to have deleted. @param why for people. */
  onLoss(why: string): void;
}

/**
 * A node's own reservations without a watch: one GET of each claim in ten minutes, from the API server's cache. What is
 * missing there is read once more before it counts.
 */
export class OwnTurns {
  readonly synced: Promise<void>;
  readonly lookMs: number;
  readonly #context: Pick<Context, "cluster" | "node" | "log" | "fleet">;
  readonly #options: OwnTurnsOptions;
  readonly #keep = compactor();
  /** Names of claims without a reservation. */
  readonly #missing = new Set<string>();
  /** Names in the last list that the journal does not know. */
  #strays: Set<string> = new Set();

  constructor(context: Pick<Context, "cluster" | "node" | "log" | "fleet">, options: OwnTurnsOptions) {
    this.#context = context;
    this.#options = options;
    this.lookMs = options.turnMs ?? TURN_MS;
    const { signal } = options;
    const { log } = context;
    const listed = Promise.withResolvers<void>();
    this.synced = listed.promise;
    void this.#listAtLast().then(() => {
      if (signal.aborted) return;
      listed.resolve();
      void repeat("own claims in turns", { everyMs: 0, signal, log }, () => this.#turn());
      void this.#keepListing();
    });
  }

  has(reservation: string): boolean {
    return !this.#missing.has(reservation);
  }

  async reserved(): Promise<readonly Reserved[]> {
    const { journal, isAlive } = this.#options.sandboxes;
    const names = new Set(this.#strays);
    for (const record of journal.all())
      if (!isAlive(record)) for (const { pool, ip } of record.addresses) names.add(reservationName(pool.network, ip));
    const found: Reserved[] = [];
    for (const name of names) {
      const reservation = await this.#get(name);
      if (reservation && textOf(reservation.metadata, LABEL.node) === this.#context.node)
        found.push(this.#keep(reservation));
      else this.#strays.delete(name);
    }
    return found;
  }

  /**
   * After a lost connection: a restore loses what was written last, recreated definitions lose everything. Never rejects.
   */
  async checkNewest(): Promise<void> {
    let newest: ClaimRecord | undefined;
    for (const record of this.#options.sandboxes.journal.all())
      if (claimsToKeep(record).length > 0 && (!newest || record.since > newest.since)) newest = record;
    const { node, log } = this.#context;
    try {
      for (const one of newest ? claimsOf(newest) : []) {
        const { name } = one;
        if ((await this.#get(name)) || !this.#isHeld(one)) continue;
        this.#missing.add(name);
        this.#options.onLoss(`reservation ${name}, the newest of ${node}, is gone after the connection was lost`);
      }
    } catch (err) {
      log.debug({ err }, "cannot check this node's newest claim");
    }
  }

  /** Every claim once, evenly over the time of a turn. */
  async #turn(): Promise<void> {
    const { sandboxes, signal } = this.#options;
    const claims: NamedClaim[] = [];
    for (const record of sandboxes.journal.all()) claims.push(...claimsOf(record));
    const eachMs = this.lookMs / Math.max(1, claims.length);
    if (claims.length === 0) await pause(eachMs, signal);
    for (const one of claims) {
      await pause(eachMs * 2 * Math.random(), signal);
      if (signal.aborted) return;
      if (this.#isHeld(one)) await this.#look(one);
      else this.#missing.delete(one.name);
    }
  }

  async #look(one: NamedClaim): Promise<void> {
    if (await this.#get(one.name)) this.#missing.delete(one.name);
    else if (this.#isHeld(one)) {
      this.#missing.add(one.name);
      this.#options.onMissing();
    }
  }

  /** By the present journal: its DEL may have come. */
  #isHeld({ name, record: { owner } }: NamedClaim): boolean {
    const now = this.#options.sandboxes.journal.find(owner.containerId, owner.ifname);
    return now !== undefined && claimsOf(now).some((claim) => claim.name === name);
  }

  /** What the cache lacks may have been created a moment ago. @throws {ApiError} */
  async #get(name: string): Promise<Reservation | undefined> {
    const { cluster } = this.#context;
    const { signal } = this.#options;
    const cached = await cluster.get<Reservation>(RESERVATIONS, name, { fromCache: true, signal });
    return cached ?? cluster.get<Reservation>(RESERVATIONS, name, { signal });
  }

  async #keepListing(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      await pause(LIST_MS * (0.5 + Math.random()), signal);
      await this.#listAtLast();
    }
  }

  /** At a start many nodes come at once: those that fail come again, with growing pauses. */
  async #listAtLast(): Promise<void> {
    const { signal } = this.#options;
    const { log, fleet } = this.#context;
    for (let waitMs = fleet?.spreadMs ?? 0; !signal.aborted; waitMs = Math.min(waitMs * 2 + 500, 60_000)) {
      await pause(waitMs * Math.random(), signal);
      try {
        return await this.#list();
      } catch (err) {
        log.debug({ err }, "cannot list this node's reservations; retrying");
      }
    }
  }

  async #list(): Promise<void> {
    const { cluster, node } = this.#context;
    const { sandboxes, signal } = this.#options;
    const labelSelector = `${LABEL.node}=${labelValue(node)}`;
    const { items } = await cluster.list<Reservation>(RESERVATIONS, { labelSelector, signal });
    const strays = new Set(items.map(({ metadata }) => metadata.name));
    for (const record of sandboxes.journal.all())
      for (const { name } of claimsOf(record))
        if (!strays.delete(name)) this.#missing.add(name);
        else this.#missing.delete(name);
    this.#strays = strays;
  }
}

interface NamedClaim {
  /** Of its reservation. */
  readonly name: string;
  readonly record: ClaimRecord;
}

/** The claims that need a reservation. */
const claimsOf = (record: ClaimRecord): NamedClaim[] =>
  claimsToKeep(record).map(({ pool, ip }) => ({ name: reservationName(pool.network, ip), record }));
