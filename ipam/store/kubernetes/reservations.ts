import { type Cluster, type JsonPatch, type KubeObject, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import type { IpamStep } from "../../steps.ts";
import { ipOfReservation, reservationName } from "../../whereabouts/names.ts";
import {
  LABEL,
  labelValue,
  ownerOfReservation,
  type Reservation,
  textOf,
  toReservation,
} from "../../whereabouts/objects.ts";
import {
  isQuarantined,
  QUARANTINE_MS,
  QUARANTINED,
  quarantinedMs,
  toQuarantine,
} from "../../whereabouts/quarantine.ts";
import { isSameInterface, takesOver } from "../holding.ts";
import { isSandbox } from "../memory.ts";
import { type Claim, type Owner, type Pool, type Released, type Sandbox, StoreError } from "../store.ts";
import { requireKept } from "./definitions.ts";
import { isGone, isOutdated, isTaken, isUnclear } from "./failure.ts";

/** Answers that were unclear, or outdated by the next request, before a call gives up. */
const MAX_TRIES = 6;

/** An address that another owner holds. */
export interface Held {
  readonly owner: Owner;
  /** Name of the pool; undefined if Whereabouts made the reservation. */
  readonly pool: string | undefined;
}

/** An address that the claim has got. */
export interface Won {
  /** The sandbox that it passed from. */
  readonly from?: Owner;
}

/**
 * The OverlappingRangeIPReservation objects: whoever created an address's has the address.
 *
 * @throws {ApiError} from every method, {StoreError} when an outcome stays unclear.
 */
export class Reservations {
  readonly #cluster: Cluster;
  readonly #step: (step: IpamStep) => void;
  readonly #onRestored: ((why: string) => void) | undefined;
  /** The highest version that the server gave to a reservation of ours. */
  #highest = 0n;

  constructor(cluster: Cluster, step: (step: IpamStep) => void, onRestored?: (why: string) => void) {
    this.#cluster = cluster;
    this.#step = step;
    this.#onRestored = onRestored;
  }

  /** One request if nobody else has it. */
  async claim(claim: Claim, signal?: AbortSignal): Promise<Held | Won> {
    let isUnclear = false;
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const created = await this.#create(claim, signal);
      if (created === "made") return {};
      isUnclear ||= created === "unclear";
      const found = await this.get(claim.pool, claim.ip, signal).catch((error) => {
        throw isUnclear ? unanswered(claim, error) : error;
      });
      if (!found) continue; // released meanwhile, or an unclear answer meant no
      const from = holderFor(found, claim);
      if (found.metadata.deletionTimestamp) return heldBy(found); // held by a finalizer: it would vanish under its new owner
      const isFree = claim.onQuarantined !== undefined && isQuarantined(found);
      if (!isFree && (!isOfClaim(found, claim) || !takesOver(from, claim))) return heldBy(found);
      if (!isFree && found.spec.containerid === claim.owner.containerId) return {};
      if (!(await this.#handOver(isFree ? askedAgain(found) : found, claim, signal))) continue;
      if (quarantinedMs(found.metadata) !== undefined) claim.onQuarantined?.();
      return { from };
    }
    throw new StoreError(
      "unclear",
      `cannot claim ${claim.ip}: ${MAX_TRIES} attempts did not show who has it; try again`,
    );
  }

  /** @param isOurs decides about a reservation of the right interface without a sandbox: Whereabouts made it. */
  async release(claim: Claim, isOurs: () => Promise<boolean>, signal?: AbortSignal): Promise<Released> {
    const { pool, ip, owner } = claim;
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const found = await this.get(pool, ip, signal);
      if (!found) return attempt === 0 ? "absent" : "released";
      if (!isOfClaim(found, claim)) return "foreign";
      const { containerid } = found.spec;
      if (containerid ? containerid !== owner.containerId : !(await isOurs())) return "foreign";
      if (await this.#delete(found, signal)) return "released";
    }
    throw new StoreError(
      "unclear",
      `cannot release ${ip}: ${MAX_TRIES} attempts did not show whether it is free; try again`,
    );
  }

  /** Passes an address that this claim has to another sandbox of its interface. Any other holder keeps it. */
  async pass(claim: Claim, to: Owner, signal?: AbortSignal): Promise<void> {
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const found = await this.get(claim.pool, claim.ip, signal);
      if (!found || !isOfClaim(found, claim) || found.spec.containerid !== claim.owner.containerId) return;
      if (await this.#handOver(found, { ...claim, owner: to }, signal)) return;
    }
    throw new StoreError(
      "unclear",
      `cannot pass ${claim.ip} on: ${MAX_TRIES} attempts did not show who has it; try again`,
    );
  }

  /** Who has an address of the claim's pool by a reservation, if that is another interface. */
  async heldIn({ pool, ip, owner }: Claim, signal?: AbortSignal): Promise<Owner | undefined> {
    const found = await this.get(pool, ip, signal);
    const holder = found && ownerOfReservation(found);
    return holder && poolOf(found) === pool.name && !isSameInterface(holder, owner) ? holder : undefined;
  }

  get({ network }: Pool, ip: string, signal?: AbortSignal): Promise<Reservation | undefined> {
    return this.#cluster.get<Reservation>(RESERVATIONS, reservationName(network, ip), { signal });
  }

  /**
   * Names, pools and specs of all of a network, or of one pool.
   *
   * @param isLabelled false: all there are, including those of Whereabouts, which have no labels.
   */
  async all(
    { network, pool }: { readonly network: string; readonly pool?: string },
    isLabelled: boolean,
    signal?: AbortSignal,
  ): Promise<readonly Reservation[]> {
    const [key, text] = pool === undefined ? [LABEL.network, network] : [LABEL.pool, pool];
    const labelSelector = `${key}=${labelValue(text)}`;
    const keep = ({ metadata, ...rest }: KubeObject): Reservation => ({
      metadata: {
        name: metadata.name,
        labels: { [LABEL.pool]: textOf(metadata, LABEL.pool) ?? "" },
        ...(metadata.annotations?.[QUARANTINED] && {
          annotations: { [QUARANTINED]: metadata.annotations[QUARANTINED] },
        }),
      },
      spec: (rest as Reservation).spec,
    });
    const selection = { signal, keep, ...(isLabelled && { labelSelector }) };
    return (await this.#cluster.list<Reservation>(RESERVATIONS, selection)).items;
  }

  /** What a sandbox holds through a pool, among what its node holds; those of Whereabouts do not say. */
  async find(pool: Pool, who: Sandbox, signal?: AbortSignal): Promise<Claim[]> {
    const [key, text] = who.node ? [LABEL.node, who.node] : [LABEL.pool, pool.name];
    const labelSelector = `${key}=${labelValue(text)}`;
    const { items } = await this.#cluster.list<Reservation>(RESERVATIONS, { labelSelector, signal });
    return items.flatMap((found) => {
      const [ip, owner] = [ipOfReservation(pool.network, found.metadata.name), ownerOfReservation(found)];
      return ip !== undefined && isSandbox(owner, who) && poolOf(found) === pool.name ? [{ pool, ip, owner }] : [];
    });
  }

  /** @returns `unclear` when the outcome is unknown: look. */
  async #create(claim: Claim, signal?: AbortSignal): Promise<"made" | "taken" | "unclear"> {
    const before = this.#highest;
    try {
      const wanted = toReservation(claim);
      const made = await this.#cluster.create(RESERVATIONS, wanted, { signal });
      await this.#requireKept(made, wanted, signal);
      this.#checkVersion(made, before);
    } catch (error) {
      if (isTaken(error)) return "taken";
      if (isUnclear(error)) return "unclear";
      throw error;
    }
    this.#step("store-reservation-created");
    return "made";
  }

  /** If a definition prunes fields, the owner could never find the claim again: it is deleted, and fails. */
  async #requireKept(made: Reservation, wanted: Reservation, signal?: AbortSignal): Promise<void> {
    try {
      if (made.spec) requireKept("overlappingrangeipreservations", wanted.spec, made.spec);
    } catch (error) {
      await this.#delete(made, signal);
      throw error;
    }
  }

  /**
   * Versions count the writes of the whole cluster: one that is lower than what was answered before the request began
   * means that the server was restored from a backup, and does not know what others hold.
   *
   * @param before the highest version then.
   * @throws {StoreError} the reservation exists, and must be released.
   */
  #checkVersion({ metadata: { name, resourceVersion = "" } }: KubeObject, before: bigint): void {
    const version = /^\d+$/.test(resourceVersion) ? BigInt(resourceVersion) : undefined;
    if (version === undefined) return;
    if (version > before) {
      if (version > this.#highest) this.#highest = version;
      return;
    }
    this.#highest = version;
    const why = `the API server was restored from a backup: its versions went back from ${before} to ${version}`;
    this.#onRestored?.(why);
    throw new StoreError("unclear", `cannot claim by reservation ${name}: ${why}; try again`);
  }

  /** @returns false when it differs from what was found, or when the outcome is unknown: look. */
  async #handOver(found: Reservation, claim: Claim, signal?: AbortSignal): Promise<boolean> {
    try {
      await this.#cluster.patch(RESERVATIONS, found.metadata.name, handOver(found, claim), { signal });
    } catch (error) {
      if (isOutdated(error) || isUnclear(error) || isGone(error)) return false;
      throw error;
    }
    this.#step("store-reservation-created");
    return true;
  }

  /** Only if it is as found: a new sandbox of the interface may just be taking it over. @returns as #create(). */
  async #delete(found: Reservation, signal?: AbortSignal): Promise<boolean> {
    const { name, uid, resourceVersion } = found.metadata;
    const nowMs = Date.now();
    try {
      const asFound = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
      // What came from quarantine returns to it: perhaps because somebody answered for it.
      const sinceMs = quarantinedMs(found.metadata);
      if (sinceMs !== undefined && nowMs - sinceMs < QUARANTINE_MS)
        await this.#cluster.mergePatch(RESERVATIONS, name, toQuarantine(found.metadata, sinceMs, { keepsNode: true }), {
          signal,
        });
      else await this.#cluster.delete(RESERVATIONS, name, asFound, { signal });
    } catch (error) {
      if (isOutdated(error) || isUnclear(error) || isGone(error)) return false;
      throw error;
    }
    this.#step("store-reservation-deleted");
    return true;
  }
}

/** A create was sent and never answered, and then the look failed: it may still arrive. */
const unanswered = ({ ip }: Claim, cause: unknown): StoreError =>
  new StoreError("unclear", `cannot claim ${ip}: ${(cause as Error).message}`, { cause });

/** Makes a reservation a claim's, if it is still as found. The fact that it was in quarantine is kept. */
export function handOver(found: Reservation, claim: Claim): JsonPatch {
  const { metadata, spec } = toReservation(claim);
  const since = found.metadata.annotations?.[QUARANTINED];
  const annotations = { ...foreign(found.metadata.annotations), ...(since && { [QUARANTINED]: since }) };
  return [
    { op: "test", path: "/metadata/resourceVersion", value: found.metadata.resourceVersion },
    { op: "test", path: "/metadata/uid", value: found.metadata.uid },
    { op: "add", path: "/metadata/labels", value: { ...foreign(found.metadata.labels), ...metadata.labels } },
    { op: "add", path: "/metadata/annotations", value: { ...annotations, ...metadata.annotations } },
    { op: "add", path: "/spec", value: spec },
  ];
}

/**
 * Its quarantine starts anew. If somebody answers for the address it returns to quarantine, behind those that were not
 * tried, and for another hour: otherwise every attempt would take the same one, and in the end it would be free unprobed.
 */
function askedAgain(found: Reservation, nowMs = Date.now()): Reservation {
  const annotations = { ...found.metadata.annotations, [QUARANTINED]: new Date(nowMs).toISOString() };
  return { ...found, metadata: { ...found.metadata, annotations } };
}

/** Keys that are not ours: they stay when an address changes its owner. */
const foreign = (keys: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(keys).filter(([key]) => !key.startsWith("railnet.io/")));

const poolOf = ({ metadata }: Reservation): string | undefined => textOf(metadata, LABEL.pool);

const heldBy = (found: Reservation): Held => ({ owner: ownerOfReservation(found), pool: poolOf(found) });

/** A label's UID as the claim's, if they match: a long one is stored as its hash. */
function holderFor(found: Reservation, { owner: { podUid } }: Claim): Owner {
  const holder = ownerOfReservation(found);
  return podUid && holder.podUid === labelValue(podUid) ? { ...holder, podUid } : holder;
}

/** Of the same interface, and, if it names a pool, through the same one. */
function isOfClaim(found: Reservation, { pool, owner }: Claim): boolean {
  return isSameInterface(ownerOfReservation(found), owner) && (poolOf(found) ?? pool.name) === pool.name;
}
