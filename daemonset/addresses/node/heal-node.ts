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

/** Pause between two attempts to restore a reservation, doubled each time; after that the next sweep does it. */
const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 32_000;

/** Restores what others removed of this node's running attachments. */
export class NodeHeal {
  readonly #context: ClusterAddresses & Pick<Context, "node" | "log" | "fleet">;
  readonly #sandboxes: Sandboxes;

  /** Version of each reservation of this node, as last seen. */
  readonly #versions = new Map<string, string>();
  readonly #onLoss: (why: string) => void;

  /** @param onLoss called when reservations are gone that nobody deleted, as far as a watch can tell. */
  constructor(
    context: ClusterAddresses & Pick<Context, "node" | "log" | "fleet">,
    sandboxes: Sandboxes,
    onLoss: (why: string) => void = () => {},
  ) {
    this.#context = context;
    this.#sandboxes = sandboxes;
    this.#onLoss = onLoss;
  }

  /** A change of this node's reservations, as reported by its informer. */
  saw(change: ChangeType, reserved: Reserved, signal: AbortSignal): void {
    const { name, resourceVersion } = reserved.metadata;
    // One reported by a watch has the version of its deletion; one that is missing from a list has its last one.
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

  /** @returns false if it must be looked at again: an ADD may still be running, or the server failed. */
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

  /** Whether a running sandbox of this node has an address without a reservation. @param has by name of the reservation. */
  async misses(has: (reservation: string) => boolean): Promise<boolean> {
    for (const record of this.#sandboxes.journal.all()) {
      if (missing(claimsToKeep(record), has).length > 0 && this.#isAlive(record)) return true;
      await nextTurn();
    }
    return false;
  }

  /**
   * Reads the server itself, until it is done: what is cached of this node's reservations may predate a loss.
   *
   * @returns false if it was not completed.
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

  /** Restores every claim of the journal without a reservation. @param has by name of the reservation. */
  async sweep(has: (reservation: string) => boolean, signal: AbortSignal): Promise<void> {
    for (const record of this.#sandboxes.journal.all()) {
      if (missing(claimsToKeep(record), has).length > 0 && this.#isAlive(record)) await this.#heal(record, has, signal);
      await nextTurn();
    }
  }

  /** Beside a running Whereabouts: every claim of the journal without a record in its pool. Reads each pool once. */
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

  /** By the present journal. */
  #isHeld({ ip, owner }: Claim): boolean {
    const record = this.#sandboxes.journal.find(owner.containerId, owner.ifname);
    return record !== undefined && claimsToKeep(record).some((claim) => claim.ip === ip);
  }
}

/** For a write: its definition is gone or being deleted, for which the server answers 405. */
const isUnserved = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 404 || error.status === 405);
