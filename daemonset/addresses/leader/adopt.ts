import { cidrOfPool, sharesAddresses } from "../../../ipam/store/kubernetes/pool-span.ts";
import type { Claim, Owner } from "../../../ipam/store/store.ts";
import { reservationName } from "../../../ipam/whereabouts/names.ts";
import {
  ADOPTED,
  type IpPool,
  type NodeSlicePool,
  ownerOfRecord,
  ownerOfReservation,
  type PoolRecord,
  RECORDS_DECIDE,
  type Reservation,
  toReservation,
} from "../../../ipam/whereabouts/objects.ts";
import { isNobody } from "../../../ipam/whereabouts/quarantine.ts";
import { ApiError, IP_POOLS, type KubeObject, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import type { Context } from "../context.ts";
import { isPodref, readPod, uidOf } from "../evidence.ts";
import { inParallel } from "../parallel.ts";
import { locationOf, type RecordLocation } from "../record-location.ts";
import { filling, judge } from "./plan-adopt.ts";

/** If the pool is written all the time, the next run continues. What one attempt has checked is not checked again in the next. */
const MAX_TRIES = 20;

/** What is needed to create a reservation for a record. */
type ReserveContext = Pick<Context, "cluster" | "told">;
export type AdoptContext = ReserveContext & Pick<Context, "log" | "counters">;

/** What is known besides the pool being adopted. */
export interface PoolSurroundings {
  /** Whether it has reservations. */
  readonly isReserved: boolean;
  readonly slices: readonly NodeSlicePool[];
  /** All pools: records of those that share addresses with it get their reservations first, since nobody will look at them afterwards. */
  readonly others: Iterable<KubeObject["metadata"]>;
}

/**
 * Creates a reservation for every record of a pool, then marks the pool, whose addresses are from then on claimed by
 * reservation alone. The last step tests the resourceVersion, so no record added meanwhile is missed. May be interrupted
 * anywhere and repeated.
 *
 * An empty pool is left alone: its first user decides with `enable_overlapping_ranges` what counts in it, and must not
 * find that the leader was quicker.
 *
 * @returns whether nothing is left to do; false if an address of it has two owners, or its network is unknown.
 * @throws {ApiError}
 */
export async function adopt(
  name: string,
  { isReserved, slices, others }: PoolSurroundings,
  context: AdoptContext,
  signal: AbortSignal,
): Promise<boolean> {
  const checked = new Map<string, string>();
  let isBesideDone = false;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const pool = await context.cluster.get<IpPool>(IP_POOLS, name, { signal });
    if (!pool || pool.metadata.annotations?.[ADOPTED]) return pool !== undefined;
    if (pool.metadata.annotations?.[RECORDS_DECIDE]) return true; // the watch will report it too
    const location = locationOf(pool, slices);
    if (!location) return notOurs(pool, context);
    if (!isReserved && Object.keys(pool.spec.allocations ?? {}).length === 0) return true;
    if (!isBesideDone) await reserveBeside(location, others, slices, context, signal);
    isBesideDone = true;
    const conflicts = await reserveAll(pool, location, checked, context, signal);
    if (conflicts > 0) return disputed(name, conflicts, context);
    if (await mark(pool, context, signal)) return true;
  }
  return false;
}

/** What is in conflict there has a holder by reservation, so nobody else gets it. */
async function reserveBeside(
  { pool }: RecordLocation,
  others: Iterable<KubeObject["metadata"]>,
  slices: readonly NodeSlicePool[],
  context: AdoptContext,
  signal: AbortSignal,
): Promise<void> {
  for (const { name, annotations } of others) {
    if (name === pool.name || annotations?.[ADOPTED] || annotations?.[RECORDS_DECIDE]) continue;
    const cidr = cidrOfPool(pool.network, name);
    if (!cidr || !sharesAddresses(cidr, pool.cidr)) continue;
    const object = await context.cluster.get<IpPool>(IP_POOLS, name, { signal });
    const location = object && locationOf(object, slices);
    if (location?.pool.network === pool.network) await reserveAll(object!, location, new Map(), context, signal);
  }
}

function disputed(pool: string, conflicts: number, context: Pick<Context, "log">): false {
  const message =
    "pool cannot be adopted: addresses of it have two owners, or the server refuses their reservations; retrying";
  sayOnce({ pool, conflicts }, message, context);
  return false;
}

function notOurs({ metadata: { name }, spec: { range, allocations } }: IpPool, context: Pick<Context, "log">): false {
  const message =
    "pool cannot be adopted: its name does not say its network, so nobody manages its addresses; " +
    "delete it when no pod has one of them (railnet ipam audit)";
  sayOnce({ pool: name, range, records: Object.keys(allocations).length }, message, context);
  return false;
}

const SAID = new WeakMap<Context["log"], Set<string>>();

/** Reports an unchanged problem once, however often it is tried. */
function sayOnce(fields: object, message: string, { log }: Pick<Context, "log">): void {
  const said = SAID.get(log) ?? new Set<string>();
  SAID.set(log, said);
  const text = `${message} ${JSON.stringify(fields)}`;
  if (!said.has(text)) log.warn(fields, message);
  said.add(text);
}

/** @returns how many records are in conflict with a reservation. */
async function reserveAll(
  { spec: { allocations } }: IpPool,
  location: RecordLocation,
  checked: Map<string, string>,
  context: AdoptContext,
  signal: AbortSignal,
): Promise<number> {
  let conflicts = 0;
  const pods = new PodOwners(context, signal);
  await inParallel(Object.entries(allocations ?? {}), async ([key, record]) => {
    const ip = location.ipOf(key);
    if (ip === undefined || checked.get(key) === record.id || isNobody(record.podref)) return;
    const isDone = await reserve({ pool: location.pool, ip, record }, pods, context, signal).catch(
      unlessRefused(ip, context),
    );
    if (isDone) checked.set(key, record.id);
    else conflicts++;
  });
  return conflicts;
}

/** A record that the server refuses for its content never stops the others. */
export const unlessRefused =
  (ip: string, { log }: Pick<Context, "log">) =>
  (error: unknown): false => {
    if (!(error instanceof ApiError && (error.status === 400 || error.status === 422))) throw error;
    log.debug({ err: error, ip }, "a record's reservation was refused");
    return false;
  };

/** @returns false when another interface has the address. */
export async function reserve(
  { pool, ip, record }: Omit<Claim, "owner"> & { record: PoolRecord },
  pods: PodOwners,
  { cluster, told }: ReserveContext,
  signal: AbortSignal,
): Promise<boolean> {
  const name = reservationName(pool.network, ip);
  for (;;) {
    const existing = await cluster.get<Reservation>(RESERVATIONS, name, { signal });
    const judgement = existing ? judge(record, existing) : "make";
    if (judgement === "fine") return true;
    if (judgement === "conflict") {
      told.duplicate({ ip, pool: pool.name, user: ownerOfRecord(record), holder: ownerOfReservation(existing!) });
      return false;
    }
    const claim = { pool, ip, owner: await pods.ownerOf(record) };
    const write = existing
      ? cluster.mergePatch(RESERVATIONS, name, filling(claim, existing), { signal })
      : cluster.create(RESERVATIONS, toReservation(claim), { signal });
    if (await unlessChanged(write)) return true;
  }
}

/** Marks the pool as it was read. @returns false if it has changed since. */
async function mark(
  { metadata }: IpPool,
  { cluster, log, counters }: AdoptContext,
  signal: AbortSignal,
): Promise<boolean> {
  const { name, resourceVersion } = metadata;
  const patch = { metadata: { resourceVersion, annotations: { [ADOPTED]: new Date().toISOString() } } };
  if (!(await unlessChanged(cluster.mergePatch(IP_POOLS, name, patch, { signal, metadataOnly: true })))) return false;
  counters.adopted++;
  log.info({ pool: name }, "pool adopted: its addresses are claimed by reservation alone");
  return true;
}

/** Removes the mark: beside a running Whereabouts records without a reservation may come. Idempotent. */
export async function disown(pool: string, { cluster }: Pick<Context, "cluster">, signal: AbortSignal): Promise<void> {
  const patch = { metadata: { annotations: { [ADOPTED]: null } } };
  await cluster.mergePatch(IP_POOLS, pool, patch, { signal, metadataOnly: true }).catch((error) => {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  });
}

/** @returns false if the object changed, appeared or vanished meanwhile. */
async function unlessChanged(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return false;
    throw error;
  }
}

/** The owner of a record, with what only its pod knows: UID and node. A pod is read once for all its rails. */
export class PodOwners {
  readonly #context: Pick<Context, "cluster">;
  readonly #signal: AbortSignal;
  readonly #pods = new Map<string, Promise<Partial<Owner>>>();

  constructor(context: Pick<Context, "cluster">, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
  }

  async ownerOf(record: PoolRecord): Promise<Owner> {
    const { podref } = record;
    const known = this.#pods.get(podref) ?? this.#read(podref);
    this.#pods.set(podref, known);
    return { ...ownerOfRecord(record), ...(await known) };
  }

  async #read(podref: string): Promise<Partial<Owner>> {
    const pod = isPodref(podref) ? await readPod(this.#context.cluster, podref, this.#signal) : undefined;
    const uid = pod && uidOf(pod);
    const node = pod?.spec?.nodeName;
    return { ...(uid && { podUid: uid }), ...(node && { node }) };
  }
}
