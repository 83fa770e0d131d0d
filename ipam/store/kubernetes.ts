import { type Cluster, IP_POOLS, RESERVATIONS } from "../../kubernetes/cluster.ts";
import type { IpamLog } from "../host.ts";
import type { Mode } from "../mode.ts";
import type { IpamStep } from "../steps.ts";
import { poolName } from "../whereabouts/names.ts";
import { type IpPool, ownerOfRecord, ownerOfReservation } from "../whereabouts/objects.ts";
import { isSameInterface } from "./holding.ts";
import { requireDefinitions } from "./kubernetes/definitions.ts";
import { toStoreError } from "./kubernetes/failure.ts";
import { Overlaps } from "./kubernetes/overlaps.ts";
import { PoolView } from "./kubernetes/pool-view.ts";
import { Pools } from "./kubernetes/pools.ts";
import { type RecordRemoval, RecordWriter } from "./kubernetes/record-writer.ts";
import { type Held, Reservations, type Won } from "./kubernetes/reservations.ts";
import { takeSlice } from "./kubernetes/slices.ts";
import { Views } from "./kubernetes/views.ts";
import { WhereaboutsLease } from "./kubernetes/whereabouts-lease.ts";
import { isSandbox } from "./memory.ts";
import {
  type Claim,
  type Holder,
  type Owner,
  type Pool,
  type Released,
  type Sandbox,
  type SlicedRange,
  type Store,
  StoreError,
  type Taken,
} from "./store.ts";

export interface KubernetesStoreOptions {
  readonly cluster: Cluster;
  /** Whether a Whereabouts runs in the cluster; called every time. */
  mode(): Mode;
  /** Changes with every write of the settings that contain the mode. Default: they never change. */
  readonly epoch?: () => string;
  /** Awaited before each claim: the server may not be the one that it was. Must not take long. */
  readonly ready?: () => Promise<void> | undefined;
  /** Why claims are suspended; undefined when they are not. */
  readonly hold?: () => string | undefined;
  /** Called when the server's versions have gone backwards: it was restored from a backup. */
  readonly onRestored?: (why: string) => void;
  readonly log: IpamLog;
  /** Called after each write: where tests inject faults. */
  readonly step?: (step: IpamStep) => void;
  /** Whether pools created by this store count as adopted at once, in mode `absent`. */
  readonly createsAdopted: boolean;
  /** Beside a running Whereabouts: average time between two turns of ours to write records. Default 300. */
  readonly gapMs?: number;
  /** Milliseconds, monotonic. */
  readonly clock?: () => number;
}

/**
 * Allocations in the objects of Whereabouts. An address belongs to whoever created its reservation. In mode `absent`
 * that is the whole claim, one request, in pools whose records all have reservations; the leader writes the records
 * afterwards. Otherwise (Whereabouts runs, the pool is not adopted yet, or overlapping ranges are off) a claim consists of
 * reservation and record, or of the record alone.
 */
export class KubernetesStore implements Store {
  readonly #cluster: Cluster;
  readonly #options: KubernetesStoreOptions;
  readonly #pools: Pools;
  readonly #reservations: Reservations;
  readonly #views: Views;
  readonly #overlaps: Overlaps;
  readonly #writers = new Map<string, RecordWriter>();
  readonly #lease: WhereaboutsLease;
  #areDefined = false;

  constructor(options: KubernetesStoreOptions) {
    const { cluster, step = () => {}, clock = () => performance.now() } = options;
    this.#options = options;
    this.#cluster = cluster;
    this.#lease = new WhereaboutsLease(options);
    this.#pools = new Pools(cluster, options);
    this.#reservations = new Reservations(cluster, step, options.onRestored);
    this.#overlaps = new Overlaps(cluster, this.#pools, clock);
    this.#views = new Views({
      pools: this.#pools,
      reservations: this.#reservations,
      mode: options.mode,
      epoch: options.epoch ?? (() => ""),
      isAlone: (pool) => this.#overlaps.isAlone(pool),
      clock,
    });
  }

  taken(pool: Pool, { fresh = false }: { fresh?: boolean } = {}): Promise<Taken> {
    return guarded(`look at pool ${pool.name}`, async () => {
      const view = fresh ? await this.#views.refreshed(pool) : await this.#views.get(pool);
      const taken = view.taken(this.#options.mode() === "coexist" ? "highest" : "lowest");
      const isUpgraded = !pool.overlapping && (await this.#isFast(pool));
      return isUpgraded ? { ...taken, pool: { ...pool, overlapping: true } } : taken;
    });
  }

  claim(claim: Claim, signal?: AbortSignal): Promise<Holder | undefined> {
    return guarded(`claim ${claim.ip} in pool ${claim.pool.name}`, async () => {
      await this.#options.ready?.();
      const why = claim.isHeld ? undefined : this.#options.hold?.();
      if (why) throw new StoreError("unavailable", `cannot claim ${claim.ip} now: ${why}; try again`);
      const { view, isFast } = await this.#decided(claim.pool, signal);
      const holder = isFast ? await this.#reserve(claim, signal) : await this.#claimExactly(claim, view, signal);
      if (holder) view.add(claim.ip);
      else view.add(claim.ip, claim.owner);
      return holder;
    });
  }

  release(claim: Claim, signal?: AbortSignal): Promise<Released> {
    return guarded(`release ${claim.ip} in pool ${claim.pool.name}`, async () => {
      const outcome = (await this.#isFast(claim.pool, signal))
        ? await this.#releaseFast(claim, signal)
        : await this.#releaseExactly(claim, signal);
      if (outcome !== "foreign") this.#views.known(claim.pool)?.remove(claim.ip, claim.owner);
      return outcome;
    });
  }

  find(pool: Pool, who: Sandbox, signal?: AbortSignal): Promise<Claim[]> {
    return guarded(`search pool ${pool.name}`, async () => {
      const [object, reserved] = await Promise.all([
        this.#pools.get(pool.name, signal),
        pool.overlapping ? this.#reservations.find(pool, who, signal) : [],
      ]);
      const recorded = object ? recordsOf(pool, object, who) : [];
      return [...reserved, ...recorded.filter(({ ip }) => !reserved.some((claim) => claim.ip === ip))];
    });
  }

  holder(pool: Pool, ip: string, signal?: AbortSignal): Promise<Owner | undefined> {
    return guarded(`look up ${ip} in pool ${pool.name}`, async () => {
      const reservation = pool.overlapping && (await this.#reservations.get(pool, ip, signal));
      if (reservation) return ownerOfReservation(reservation);
      if (await this.#isFast(pool, signal)) return undefined;
      const object = await this.#pools.get(pool.name, signal);
      const view = object && new PoolView(pool, object);
      const record = view?.record(view.keyOf(ip));
      return record && ownerOfRecord(record);
    });
  }

  slice(whole: SlicedRange, node: string, signal?: AbortSignal): Promise<string> {
    return guarded(`get a slice of "${whole.name}" for node ${node}`, () =>
      takeSlice(this.#cluster, whole, node, signal),
    );
  }

  /** Whether the server answers, serves the resources, lets us read them, and (asked once) stores all fields of a claim. */
  check(signal?: AbortSignal): Promise<void> {
    return guarded("use the API server", async () => {
      for (const resource of [IP_POOLS, RESERVATIONS])
        await this.#cluster.get(resource, "railnet-check", { signal, metadataOnly: true });
      const isFast = this.#options.mode() === "absent"; // records are only a view then
      if (!this.#areDefined) await requireDefinitions(this.#cluster, { signal, isFast });
      this.#areDefined = true;
    });
  }

  /** What decides in a pool for a claim. A record alone does only where the pool says so, which may change meanwhile. */
  async #decided(pool: Pool, signal?: AbortSignal): Promise<{ readonly view: PoolView; readonly isFast: boolean }> {
    for (;;) {
      signal?.throwIfAborted();
      const view = await this.#views.get(pool);
      const isFast = await this.#isFast(pool, signal);
      if (isFast || pool.overlapping || view.recordsDecide) return { view, isFast };
    }
  }

  /** Whether a reservation alone is the claim: for all users of an adopted pool, whatever their configuration says. */
  async #isFast(pool: Pool, signal?: AbortSignal): Promise<boolean> {
    if (this.#options.mode() !== "absent") return false;
    if (pool.overlapping) return this.#views.isAdopted(pool, signal);
    const view = await this.#views.existing(pool);
    return view !== undefined && !view.recordsDecide && (await this.#views.isAdopted(pool, signal));
  }

  async #reserve(claim: Claim, signal?: AbortSignal): Promise<Holder | undefined> {
    const outcome = await this.#reservations.claim(claim, signal);
    return "owner" in outcome ? holderIn(claim.pool, outcome) : undefined;
  }

  #releaseFast(claim: Claim, signal?: AbortSignal): Promise<Released> {
    const isOurs = async () => {
      const object = await this.#pools.get(claim.pool.name, signal);
      return !!object && recordsOf(claim.pool, object, claim.owner).some(({ ip }) => ip === claim.ip);
    };
    return this.#reservations.release(claim, isOurs, signal);
  }

  async #claimExactly(claim: Claim, view: PoolView, signal?: AbortSignal): Promise<Holder | undefined> {
    const { pool, ip } = claim;
    const elsewhere = pool.overlapping && (await this.#overlaps.holder(pool, ip));
    if (elsewhere) return { ...elsewhere, isElsewhere: true };
    const unrecorded = !pool.overlapping && view.isMixed && (await this.#reservations.heldIn(claim, signal));
    if (unrecorded) return unrecorded;
    const reserved = pool.overlapping ? await this.#reservations.claim(claim, signal) : {};
    if ("owner" in reserved) return holderIn(pool, reserved);
    const recorded = await this.#writer(pool, view).write(view.keyOf(ip), alsoOver(claim, reserved));
    if (recorded && pool.overlapping) {
      const { podref, ifname, containerId } = recorded;
      this.#options.log.warn(
        { ip, pool: pool.name, podref, ifname, containerID: containerId },
        "record without reservation",
      );
      await this.#reservations.release(claim, async () => false, signal);
    }
    return recorded;
  }

  /** Deletes the record first: Whereabouts gives out an address as soon as it has neither. */
  async #releaseExactly(claim: Claim, signal?: AbortSignal): Promise<Released> {
    const { pool, ip, owner } = claim;
    const view = await this.#views.existing(pool);
    const writer = view && this.#writer(pool, view);
    const { outcome, holder }: RecordRemoval = writer
      ? await writer.remove(view.keyOf(ip), owner)
      : { outcome: "absent" };
    if (!pool.overlapping && outcome !== "absent") return outcome;
    if (holder && isSameInterface(holder, owner)) {
      // A hand-over that stopped half-way; or one by Whereabouts, which leaves the old sandbox in the reservation: the record counts.
      const { podUid, node } = owner;
      const same = claim.isUnfinished && { ...(podUid && { podUid }), ...(node && { node }) };
      await this.#reservations.pass(claim, { ...holder, ...same }, signal);
      return "foreign";
    }
    const reserved = await this.#reservations.release(claim, async () => outcome === "released", signal);
    return outcome === "absent" ? reserved : outcome;
  }

  #writer(pool: Pool, view: PoolView): RecordWriter {
    const known = this.#writers.get(pool.name);
    if (known?.view === view) return known;
    const { step = () => {}, mode } = this.#options;
    // A node's slice has only one writer.
    const isShared = pool.name === poolName(pool.network, "", pool.cidr);
    const turn = (work: () => Promise<void>) => (isShared && mode() === "coexist" ? this.#lease.during(work) : work());
    const made = new RecordWriter(this.#cluster, view, () => this.#views.reread(view), step, turn);
    this.#writers.set(pool.name, made);
    return made;
  }
}

/** Who is in the way of a claim through `pool`. */
const holderIn = (pool: Pool, held: Held): Holder => ({ ...held.owner, isElsewhere: held.pool !== pool.name });

/** If a reservation passed to a claim because of its pod's UID, its record, which has no UID, is over, too. */
const alsoOver = (claim: Claim, { from }: Won): Claim => ({
  ...claim,
  isOver: (holder) => holder.containerId === from?.containerId || claim.isOver?.(holder) === true,
});

/** A sandbox's records in a pool. */
function recordsOf(pool: Pool, object: IpPool, who: Sandbox): Claim[] {
  const view = new PoolView(pool, object);
  return Object.entries(object.spec.allocations ?? {}).flatMap(([key, record]) => {
    const [ip, owner] = [view.ipOf(key), ownerOfRecord(record)];
    return ip !== undefined && isSandbox(owner, who) ? [{ pool, ip, owner }] : [];
  });
}

async function guarded<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStoreError(what, error);
  }
}
