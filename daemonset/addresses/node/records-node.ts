import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClaimRecord } from "../../../ipam/journal.ts";
import type { Claim } from "../../../ipam/store/store.ts";
import type { IpPool } from "../../../ipam/whereabouts/objects.ts";
import { IP_POOLS } from "../../../kubernetes/cluster.ts";
import { attachmentKey } from "../../../records/record-files.ts";
import type { ClusterAddresses, Context } from "../context.ts";
import { isPodref, podIsOver, readPod } from "../evidence.ts";
import { locationOf } from "../record-location.ts";
import type { Sandboxes } from "./sandboxes.ts";

/**
 * This node's claims with `enable_overlapping_ranges: false`: each consists of a record in the pool alone, so it does not
 * appear among the reservations. Claims without a DEL are ended, by the rules of NodeGc; records that others removed are restored.
 */
export class NodeRecords {
  readonly #context: ClusterAddresses & Pick<Context, "log">;
  readonly #sandboxes: Sandboxes;
  readonly #graceMs: number;
  /** Attachments that looked abandoned, and since when. */
  #suspects = new Map<string, number>();

  constructor(context: ClusterAddresses & Pick<Context, "log">, sandboxes: Sandboxes, graceMs: number) {
    this.#context = context;
    this.#sandboxes = sandboxes;
    this.#graceMs = graceMs;
  }

  /** Reads the pods of dead sandboxes; sends nothing if there are none. @throws {ApiError} */
  async collect(signal: AbortSignal): Promise<void> {
    const before = this.#suspects;
    const nowMs = performance.now();
    this.#suspects = new Map();
    for (const record of this.#sandboxes.journal.all()) {
      await nextTurn();
      const { owner, phase } = record;
      if (phase === "releasing" || claimsOf(record).length === 0 || this.#sandboxes.isAlive(record)) continue;
      const evidence = await this.#whyOver(record, signal);
      if (!evidence) continue;
      const key = attachmentKey(owner.containerId, owner.ifname);
      const sinceMs = before.get(key) ?? nowMs;
      if (!before.has(key) || nowMs - sinceMs < this.#graceMs) {
        this.#suspects.set(key, sinceMs);
        continue;
      }
      await this.#sandboxes.end(record);
      const { podref, ifname, containerId: containerID } = owner;
      this.#context.log.info(
        { podref, ifname, containerID, evidence },
        "addresses without reservation freed: no longer in use",
      );
    }
  }

  async #whyOver({ owner: { podref, podUid = "" } }: ClaimRecord, signal: AbortSignal): Promise<string | undefined> {
    if (!isPodref(podref)) return undefined;
    return podIsOver(await readPod(this.#context.cluster, podref, signal), podUid);
  }

  /** Reads each pool once. @throws {ApiError | StoreError} */
  async heal(signal: AbortSignal): Promise<void> {
    const byPool = new Map<string, { readonly claim: Claim; readonly record: ClaimRecord }[]>();
    for (const record of this.#sandboxes.journal.all()) {
      for (const claim of record.phase === "held" ? claimsOf(record) : [])
        byPool.set(claim.pool.name, [...(byPool.get(claim.pool.name) ?? []), { claim, record }]);
      await nextTurn();
    }
    for (const [name, claims] of byPool) {
      const pool = await this.#context.cluster.get<IpPool>(IP_POOLS, name, { signal });
      const location = pool && locationOf(pool, []);
      if (pool && !location) continue; // its name does not tell its keys: an ADD or CHECK reports it
      for (const { claim, record } of claims) {
        const key = location?.keyOf(claim.ip);
        if (pool?.spec.allocations?.[key ?? ""]?.podref === claim.owner.podref) continue;
        if (this.#sandboxes.isAlive(record)) await this.#putBack(claim, signal);
      }
    }
  }

  async #putBack(claim: Claim, signal: AbortSignal): Promise<void> {
    const { store, told } = this.#context;
    const { pool, ip, owner } = claim;
    if (!this.#isHeld(claim)) return;
    const holder = await store.claim({ ...claim, isHeld: true }, signal);
    if (holder) return told.duplicate({ ip, pool: pool.name, user: owner, holder });
    if (!this.#isHeld(claim)) return void (await store.release(claim, signal)); // its DEL came meanwhile
    told.recordPutBack(claim);
  }

  /** By the present journal. */
  #isHeld({ ip, owner: { containerId, ifname } }: Claim): boolean {
    const record = this.#sandboxes.journal.find(containerId, ifname);
    return record?.phase === "held" && record.addresses.some((one) => one.ip === ip);
  }
}

/** Those that consist of a record in the pool alone. */
const claimsOf = ({ storage, owner, addresses }: ClaimRecord): Claim[] =>
  storage.kind === "kubernetes"
    ? addresses.filter(({ pool }) => !pool.overlapping).map((address) => ({ ...address, owner }))
    : [];
