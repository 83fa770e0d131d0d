import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClaimRecord } from "../../../ipam/journal.ts";
import type { Claim } from "../../../ipam/store/store.ts";
import { type IpPool, LABEL, labelValue } from "../../../ipam/whereabouts/objects.ts";
import { ApiError, IP_POOLS, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import type { ChangeType } from "../../../kubernetes/informer.ts";
import { pause } from "../../loop.ts";
import type { ClusterAddresses, Context } from "../context.ts";
import { heal } from "../heal.ts";
import { locationOf } from "../record-location.ts";
import type { Reserved } from "../reserved.ts";
import { claimsToKeep, missing } from "./plan-heal.ts";
import type { Sandboxes } from "./sandboxes.ts";

/** Between two tries to put a reservation back, doubled from one to the next; then the next sweep does it. */
const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 32_000;

/** Puts back what somebody removed of this node's living attachments. */
export class NodeHeal {
  readonly #context: ClusterAddresses & Pick<Context, "node" | "log" | "fleet">;
  readonly #sandboxes: Sandboxes;

  /** Version of each reservation of this node, as it was seen last. */
  readonly #versions = new Map<string, string>();
  readonly #onLoss: (why: string) => void;

  /** @param onLoss called when reservations are gone that nobody deleted, as far as a watch tells. */
  constructor(
    context: ClusterAddresses & Pick<Context, "node" | "log" | "fleet">,
    sandboxes: Sandboxes,
    onLoss: (why: string) => void = () => {},
  ) {
    this.#context = context;
    this.#sandboxes = sandboxes;
    this.#onLoss = onLoss;
  }

  /** A change of this node's reservations, as its informer tells it. */
  saw(change: ChangeType, reserved: Reserved, signal: AbortSignal): void {
    const { name, resourceVersion } = reserved.metadata;
    // One that a watch tells of has the version of its deletion; one that a list does not show any more has the last one.
    const isTold = this.#versions.get(name) !== resourceVersion;
    if (change !== "DELETED") this.#versions.set(name, resourceVersion);
    else {
      this.#versions.delete(name);
      void this.onDeleted(reserved, signal, isTold);
    }
  }

  /** A reservation of this node is gone: normally because its DEL came, and then the journal says so. */
  async onDeleted(reserved: Reserved, signal: AbortSignal, isTold = true): Promise<void> {
    const { containerId, ifname, metadata } = reserved;
    const record = isTold ? undefined : this.#sandboxes.journal.find(containerId, ifname);
    if (record?.phase === "held" && this.#isAlive(record))
      this.#onLoss(`reservation ${metadata.name} of ${this.#context.node} is gone, and no deletion was seen`);
    for (let waitMs = FIRST_WAIT_MS; waitMs <= LAST_WAIT_MS && !signal.aborted; waitMs *= 2) {
      if (await this.#putBack(reserved, signal)) return;
      await pause(waitMs, signal);
    }
  }

  /** @returns false when it must be looked at again: an ADD may still run, or the server did not do it. */
  async #putBack({ metadata: { name }, containerId, ifname }: Reserved, signal: AbortSignal): Promise<boolean> {
    const record = this.#sandboxes.journal.find(containerId, ifname);
    if (record?.phase === "claiming") return false;
    try {
      if (record && this.#isAlive(record)) await this.#heal(record, (one) => one !== name, signal);
      return true;
    } catch (err) {
      if (signal.aborted) return true;
      this.#context.log.warn({ err, reservation: name }, "reservation not restored yet");
      if (isUnserved(err)) this.#onLoss("reservations are no longer served: their definition was deleted");
      return false;
    }
  }

  /** Whether a living sandbox of this node has an address without reservation. @param has by name of the reservation. */
  async misses(has: (reservation: string) => boolean): Promise<boolean> {
    for (const record of this.#sandboxes.journal.all()) {
      if (missing(claimsToKeep(record), has).length > 0 && this.#isAlive(record)) return true;
      await nextTurn();
    }
    return false;
  }

  /**
   * By a look of its own, until it is done: what is remembered of this node's reservations may be from before a loss.
   *
   * @returns false when it was not done.
   */
  async putAllBack(signal: AbortSignal): Promise<boolean> {
    const { log, fleet } = this.#context;
    if (fleet?.isLarge) await pause(fleet.spreadMs * Math.random(), signal);
    for (let waitMs = FIRST_WAIT_MS; waitMs <= LAST_WAIT_MS && !signal.aborted; waitMs *= 2)
      try {
        await this.sweep(await this.#there(signal), signal);
        return true;
      } catch (err) {
        if (!signal.aborted) log.warn({ err }, "this node's reservations are not all restored yet");
        await pause(waitMs * Math.random(), signal);
      }
    return false;
  }

  async #there(signal: AbortSignal): Promise<(name: string) => boolean> {
    const { cluster, node } = this.#context;
    const labelSelector = `${LABEL.node}=${labelValue(node)}`;
    const { items } = await cluster.list(RESERVATIONS, { labelSelector, metadataOnly: true, signal });
    const there = new Set(items.map(({ metadata }) => metadata.name));
    return (name) => there.has(name);
  }

  /** Every claim of the journal that has no reservation. @param has by name of the reservation. */
  async sweep(has: (reservation: string) => boolean, signal: AbortSignal): Promise<void> {
    for (const record of this.#sandboxes.journal.all()) {
      if (missing(claimsToKeep(record), has).length > 0 && this.#isAlive(record)) await this.#heal(record, has, signal);
      await nextTurn();
    }
  }

  /** Beside a live Whereabouts: every claim of the journal that has no record in its pool. Reads each pool once. */
  async sweepRecords(signal: AbortSignal): Promise<void> {
    const byPool = new Map<string, { claim: Claim; record: ClaimRecord }[]>();
    for (const record of this.#sandboxes.journal.all()) {
      for (const claim of claimsToKeep(record)) {
        const { name } = claim.pool;
        byPool.set(name, [...(byPool.get(name) ?? []), { claim, record }]);
      }
      await nextTurn();
    }
    for (const [name, claims] of byPool) {
      const has = await this.#records(name, signal);
      for (const { claim, record } of claims)
        if (!has(claim) && this.#isAlive(record)) await heal(claim, () => this.#isHeld(claim), this.#context, signal);
    }
  }

  async #records(name: string, signal: AbortSignal): Promise<(claim: Claim) => boolean> {
    const pool = await this.#context.cluster.get<IpPool>(IP_POOLS, name, { signal });
    const location = pool && locationOf(pool, []);
    return ({ ip, owner }) => {
      const key = location?.keyOf(ip);
      return key !== undefined && pool?.spec.allocations?.[key]?.podref === owner.podref;
    };
  }

  async #heal(record: ClaimRecord, has: (reservation: string) => boolean, signal: AbortSignal): Promise<void> {
    for (const claim of missing(claimsToKeep(record), has))
      await heal(claim, () => this.#isHeld(claim), this.#context, signal);
  }

  #isAlive(record: ClaimRecord): boolean {
    return this.#sandboxes.isAlive(record);
  }

  /** By the journal as it is now. */
  #isHeld({ ip, owner }: Claim): boolean {
    const record = this.#sandboxes.journal.find(owner.containerId, owner.ifname);
    return record !== undefined && claimsToKeep(record).some((claim) => claim.ip === ip);
  }
}

/** Of a write: its definition is gone, or goes, which the server says with 405. */
const isUnserved = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 404 || error.status === 405);
