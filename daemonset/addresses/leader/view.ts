import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Owner } from "../../../ipam/store/store.ts";
import {
  ADOPTED,
  type IpPool,
  type NodeSlicePool,
  type PoolRecord,
  toIpPool,
} from "../../../ipam/whereabouts/objects.ts";
import { ApiError, IP_POOLS, type KubeObject } from "../../../kubernetes/cluster.ts";
import type { Context } from "../context.ts";
import { ipOf, locationOf, type RecordLocation, rangeOfName } from "../record-location.ts";
import type { Reserved } from "../reserved.ts";
import { applyChanges, planView, toPatch, type ViewChange, type ViewPlan, withinRoom } from "./plan-view.ts";
import { UnbackedRecords } from "./unbacked.ts";

/**
 * Changes per patch, of two operations each. The API server refuses 10,000, or 3 MB, which is ten times this. Few large
 * patches, since each one costs it the whole object again: a thousand new records at once cost a quarter of four patches.
 */
const MAX_CHANGES = 1000;

/**
 * Records that a pool may show. The API server spends about 0.1 ms on each with every patch, and an object holds at most
 * 11,073, so a view far below that is already slow; the addresses do not need it.
 */
export const MAX_RECORDS = 8_000;

/** The watch lags behind the answers by fewer writes than this. */
const MAX_VERSIONS = 1000;

/** On a pool whose view omits records. */
const VIEW = "railnet.io/view";

/** A pool's patches may take one tenth of the time. */
const REST_PER_WORK = 9;

export interface ViewOptions {
  readonly name: string;
  readonly context: Pick<Context, "cluster" | "told" | "events" | "counters" | "log">;
  readonly slices: () => Promise<readonly NodeSlicePool[]>;
  readonly maxRecords?: number;
}

/** The pool as read or last written; `records` is updated by the patches. */
interface Shown {
  readonly location: RecordLocation;
  readonly records: Map<string, PoolRecord>;
  /** Keys computed so far, once for each reservation, since a pool may have tens of thousands. */
  readonly keys: WeakMap<Reserved, string | false>;
  readonly isPartial: boolean;
}

/**
 * The records of one adopted pool as a view of its reservations, written afterwards by the leader alone. Nothing is
 * decided from it, so it may lag, but it never removes the record of a pod that may be running.
 */
export class PoolViewWriter {
  /** Versions of the pool as this one read and wrote it: any other in the watch means another writer. */
  readonly versions = new Set<string>();
  readonly #name: string;
  readonly #context: ViewOptions["context"];
  readonly #slices: ViewOptions["slices"];
  readonly #maxRecords: number;
  #shown: Shown | undefined;
  /** Range of the pool, in case it is deleted. */
  #range: string | undefined;
  /** Keys and IDs that had a reservation when the view was last complete. */
  #backed = new Map<string, string>();
  readonly #unbacked: UnbackedRecords;
  #reported = "";

  constructor({ name, context, slices, maxRecords = MAX_RECORDS }: ViewOptions) {
    this.#name = name;
    this.#context = context;
    this.#slices = slices;
    this.#maxRecords = maxRecords;
    this.#unbacked = new UnbackedRecords(context);
  }

  /** Another program wrote: the pool is read again in the next round. */
  forget(): void {
    this.#shown = undefined;
  }

  /**
   * One round: makes the pool's records match its reservations, as far as they are known now.
   *
   * @returns `overtaken` if there was another writer in between, and another round is due; `waits` if the fate of a record
   * is not decided yet, and one is due later.
   * @throws {ApiError} the next round begins with a fresh read.
   */
  async round(reservations: readonly Reserved[], signal: AbortSignal): Promise<"done" | "overtaken" | "waits"> {
    try {
      this.#shown ??= await this.#read(reservations[0], signal);
      if (!this.#shown) return "done";
      return (await this.#update(this.#shown, reservations, signal)) ? "done" : "waits";
    } catch (error) {
      this.forget();
      if (!isOvertaken(error)) throw error;
      this.#context.counters.viewRefusals++;
      return "overtaken";
    }
  }

  /** @returns undefined if there is nothing to do: no such pool and no reservation of it, or it is not adopted (yet). */
  async #read(any: Reserved | undefined, signal: AbortSignal): Promise<Shown | undefined> {
    const { cluster } = this.#context;
    const pool =
      (await cluster.get<IpPool>(IP_POOLS, this.#name, { signal })) ?? (any && (await this.#make(any, signal)));
    if (!pool?.metadata.annotations?.[ADOPTED]) return undefined;
    const location = locationOf(pool, await this.#slices());
    if (!location) return undefined;
    this.#range = pool.spec.range;
    this.#account(pool);
    if ("managedFields" in pool.metadata) await this.#write({ metadata: { managedFields: [{}] } }, signal);
    const records = new Map(Object.entries(pool.spec.allocations ?? {}));
    return { location, records, keys: new WeakMap(), isPartial: pool.metadata.annotations[VIEW] !== undefined };
  }

  /** The pool was deleted while addresses of it are in use. */
  async #make(any: Reserved, signal: AbortSignal): Promise<IpPool | undefined> {
    const { cluster, log } = this.#context;
    const range = this.#range ?? rangeOfName(this.#name, any);
    if (range === undefined) return undefined;
    log.warn({ pool: this.#name, range }, "pool is missing while addresses of it are reserved: created again");
    const annotations = { [ADOPTED]: new Date().toISOString() };
    return cluster.create(IP_POOLS, toIpPool(this.#name, range, { annotations }), { signal });
  }

  /** @returns false while the fate of a record without a reservation is undecided. */
  async #update(shown: Shown, reservations: readonly Reserved[], signal: AbortSignal): Promise<boolean> {
    const wanted = await this.#wanted(shown, reservations);
    const backed = (key: string, { id }: PoolRecord) => this.#backed.get(key) === id;
    let plan = planView(wanted, shown.records, backed);
    let isDecided = true;
    if (plan.doubtful.length > 0) {
      const { over, ending } = await this.#unbacked.settle(plan.doubtful, shown.location, signal);
      plan = planView(wanted, shown.records, (key, record) => over.has(key) || backed(key, record));
      // The pod of each such record was running a moment ago: no event tells when it, or the reservation just made, is gone.
      isDecided = ending.size === 0 && plan.doubtful.every(({ to }) => to);
    }
    this.#report(plan);
    const changes = withinRoom(plan.changes, this.#maxRecords - shown.records.size);
    for (let at = 0; at < changes.length; at += MAX_CHANGES)
      await this.#apply(shown.records, changes.slice(at, at + MAX_CHANGES), signal);
    await this.#sayPartial(wanted.size > this.#maxRecords, shown, signal);
    this.#backed = new Map([...wanted].map(([key, { containerId }]) => [key, containerId]));
    return isDecided;
  }

  async #wanted({ location, keys }: Shown, reservations: readonly Reserved[]): Promise<Map<string, Owner>> {
    const wanted = new Map<string, Owner>();
    let fresh = 0;
    for (const reserved of reservations) {
      let key = keys.get(reserved);
      if (key === undefined) {
        key = keyOf(reserved, location) ?? false;
        keys.set(reserved, key);
        if (++fresh % 500 === 0) await nextTurn();
      }
      if (key !== false) wanted.set(key, reserved);
    }
    return wanted;
  }

  /** One patch, then nothing for nine times as long. */
  async #apply(records: Map<string, PoolRecord>, changes: readonly ViewChange[], signal: AbortSignal): Promise<void> {
    const { cluster, counters } = this.#context;
    const startMs = performance.now();
    const at = { signal, metadataOnly: true };
    this.#account(await cluster.patch<IpPool>(IP_POOLS, this.#name, toPatch(changes), at));
    counters.viewPatches++;
    applyChanges(records, changes);
    await sleep((performance.now() - startMs) * REST_PER_WORK, undefined, { signal, ref: false });
  }

  async #sayPartial(isPartial: boolean, shown: Shown, signal: AbortSignal): Promise<void> {
    if (isPartial === shown.isPartial) return;
    const { log, events } = this.#context;
    const limit = this.#maxRecords;
    await this.#write(
      { metadata: { annotations: { [VIEW]: isPartial ? `partial: the first ${limit}` : null } } },
      signal,
    );
    this.#shown = { ...shown, isPartial };
    log.warn({ pool: this.#name, limit, isPartial }, "pool has too many records to show all of them");
    if (isPartial)
      events.onPool("Warning", this.#name, "ViewIncomplete", `only ${limit} records are shown; all addresses work`);
  }

  async #write(patch: object, signal: AbortSignal): Promise<void> {
    const { cluster } = this.#context;
    this.#account(await cluster.mergePatch<IpPool>(IP_POOLS, this.#name, patch, { signal, metadataOnly: true }));
  }

  #account({ metadata: { resourceVersion = "" } }: KubeObject): void {
    this.versions.add(resourceVersion);
    if (this.versions.size > MAX_VERSIONS) this.versions.delete(this.versions.values().next().value!);
  }

  /** Once for each different set of them. */
  #report({ junk }: ViewPlan): void {
    const now = junk.join(" ");
    if (now && now !== this.#reported)
      this.#context.log.warn(
        { pool: this.#name, keys: junk.slice(0, 20) },
        "pool has records that belong to no pod: left alone",
      );
    this.#reported = now;
  }
}

function keyOf(reserved: Reserved, { pool, keyOf }: RecordLocation): string | undefined {
  const ip = ipOf(reserved, pool);
  return ip === undefined ? undefined : keyOf(ip);
}

/** There was another writer, or it is unknown whether the patch was applied: look again. */
const isOvertaken = (error: unknown): boolean =>
  error instanceof ApiError && (error.isUnclear || [404, 409, 422].includes(error.status));
