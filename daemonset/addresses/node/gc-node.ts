import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClaimRecord } from "../../../ipam/journal.ts";
import { reservationName } from "../../../ipam/whereabouts/names.ts";
import { PODS } from "../../../kubernetes/cluster.ts";
import { attachmentKey } from "../../../records/record-files.ts";
import type { ClusterAddresses, Context } from "../context.ts";
import { isPodref, type Pod, podIsOver, readPod, uidOf } from "../evidence.ts";
import { free } from "../free.ts";
import { inParallel } from "../parallel.ts";
import { type GcFinding, type GcPlan, planGc, type Suspicions } from "../plan-gc.ts";
import type { Reserved } from "../reserved.ts";
import type { Sandboxes } from "./sandboxes.ts";

/** What the journal says, all at one moment. */
interface Journalled {
  readonly records: readonly ClaimRecord[];
  /** By name of the reservation. */
  readonly claims: ReadonlyMap<string, ClaimRecord>;
  /** By {@link attachmentKey}. */
  readonly attachments: ReadonlyMap<string, ClaimRecord>;
  /** Container IDs of running sandboxes, by any of their attachments. */
  readonly alive: ReadonlySet<string>;
}

/** A new leader creates a reservation for a running pod's record without one, even if a DEL came while nobody led. */
const RELEASED = "its DEL was done here; then a leader reserved it by its record in the pool";

/** Its pod lives on in another sandbox: the first one's DEL never came, and nobody here remembers it. */
const MOVED = "another sandbox of its interface runs here, with another address";

/** A claim without an answer, whose request arrived when its ADD had taken another address. */
const SURPLUS = "its ADD was done with other addresses";

/** Whether an attachment was given addresses, and this is none of them. */
function isSurplus({ metadata: { name } }: Reserved, record: ClaimRecord | undefined): boolean {
  return (
    record?.phase === "held" && !record.addresses.some(({ pool, ip }) => reservationName(pool.network, ip) === name)
  );
}

/** By its sandbox, or by a release that has begun. */
function isInUse(reserved: Reserved, { claims, attachments, alive }: Journalled): boolean {
  const { metadata, containerId, ifname } = reserved;
  if (isSurplus(reserved, attachments.get(attachmentKey(containerId, ifname)))) return false;
  const record = claims.get(metadata.name);
  return alive.has(containerId) || (record?.owner.containerId === containerId && record.phase === "releasing");
}

/** Whether a later sandbox of the interface runs, through the same pool, with another address. */
function hasMoved(
  { metadata: { name }, podref, ifname, containerId, pool: through }: Reserved,
  { records, alive }: Journalled,
) {
  return records.some(
    ({ phase, owner, addresses }) =>
      phase === "held" &&
      owner.podref === podref &&
      (ifname === "" || owner.ifname === ifname) && // Whereabouts before 0.8 wrote none; a pod has one sandbox at a time
      owner.containerId !== containerId &&
      alive.has(owner.containerId) &&
      addresses.some(({ pool }) => pool.name === through) &&
      !addresses.some(({ pool, ip }) => reservationName(pool.network, ip) === name),
  );
}

/**
 * Frees this node's addresses that nobody needs any more: the journal does not know them, or their sandbox is gone; and
 * their pod is over; and both were already so `graceMs` ago. Of a running pod it frees those whose DEL this agent has done,
 * those of an earlier sandbox if a later one runs with another address, and those that an ADD asked for and did not take.
 * Without a suspect a look sends the API server nothing.
 */
export class NodeGc {
  readonly #context: ClusterAddresses & Pick<Context, "node">;
  readonly #sandboxes: Sandboxes;
  readonly #graceMs: number;
  #suspicions: Suspicions = new Map();
  /** Journal records of which nothing is left, and since when. */
  #forgotten = new Map<string, number>();

  constructor(context: ClusterAddresses & Pick<Context, "node">, sandboxes: Sandboxes, graceMs: number) {
    this.#context = context;
    this.#sandboxes = sandboxes;
    this.#graceMs = graceMs;
  }

  /**
   * @param own reservations of this node, as of before the call: a claim is in the journal before it is made.
   * @throws {ApiError | StoreError}
   */
  async look(own: readonly Reserved[], signal: AbortSignal): Promise<void> {
    const journal = await this.#readJournal();
    await this.#endForgotten(
      journal,
      new Set(own.map(({ metadata: { name }, containerId }) => `${name} ${containerId}`)),
    );
    const suspects = own.filter(
      (one) => isPodref(one.podref) && !one.isEnding && (this.#sandboxes.isReleased(one) || !isInUse(one, journal)),
    );
    const findings = suspects.length > 0 ? await this.#findings(suspects, journal, signal) : [];
    const { suspicions, due } = planGc(this.#suspicions, findings, {
      nowMs: performance.now(),
      graceMs: this.#graceMs,
    });
    this.#suspicions = suspicions;
    for (const one of due) await this.#end(one, journal.claims.get(one.reserved.metadata.name), signal);
  }

  /**
   * Ends records of which nothing is left, neither sandbox nor reservation: their DEL never came. Nobody needs to be asked,
   * since there is no address to free. A candidate of an ADD that died may be another pod's by now.
   *
   * @param own name and container ID of each reservation.
   */
  async #endForgotten({ records, alive }: Journalled, own: ReadonlySet<string>): Promise<void> {
    const nowMs = performance.now();
    const before = this.#forgotten;
    this.#forgotten = new Map();
    for (const record of records) {
      const { owner, addresses } = record;
      if (record.phase === "releasing" || alive.has(owner.containerId)) continue;
      if (
        addresses.some(
          ({ pool, ip }) => !pool.overlapping || own.has(`${reservationName(pool.network, ip)} ${owner.containerId}`),
        )
      )
        continue;
      const key = attachmentKey(owner.containerId, owner.ifname);
      const sinceMs = before.get(key) ?? nowMs;
      if (before.has(key) && nowMs - sinceMs >= this.#graceMs) await this.#sandboxes.end(record);
      else this.#forgotten.set(key, sinceMs);
    }
  }

  async #readJournal(): Promise<Journalled> {
    const records: ClaimRecord[] = [];
    const claims = new Map<string, ClaimRecord>();
    const attachments = new Map<string, ClaimRecord>();
    const alive = new Set<string>();
    for (const record of this.#sandboxes.journal.all()) {
      records.push(record);
      attachments.set(attachmentKey(record.owner.containerId, record.owner.ifname), record);
      for (const { pool, ip } of record.addresses) claims.set(reservationName(pool.network, ip), record);
      if (this.#sandboxes.isAlive(record)) alive.add(record.owner.containerId);
      await nextTurn();
    }
    return { records, claims, attachments, alive };
  }

  async #findings(suspects: readonly Reserved[], journal: Journalled, signal: AbortSignal): Promise<GcFinding[]> {
    const running = await this.#running(signal);
    const findings: GcFinding[] = [];
    await inParallel(suspects, async (reserved) => {
      const { podref, podUid, containerId, ifname } = reserved;
      if (this.#sandboxes.isReleased(reserved)) return void findings.push({ reserved, evidence: RELEASED });
      if (isSurplus(reserved, journal.attachments.get(attachmentKey(containerId, ifname))))
        return void findings.push({ reserved, evidence: SURPLUS });
      if (hasMoved(reserved, journal)) return void findings.push({ reserved, evidence: MOVED });
      const uid = running.get(podref);
      if (uid && (!podUid || podUid === uid)) return;
      const evidence = podIsOver(await readPod(this.#context.cluster, podref, signal), podUid);
      if (evidence) findings.push({ reserved, evidence: `no sandbox on ${this.#context.node}; ${evidence}` });
    });
    return findings;
  }

  /** UIDs of the pods on this node that have not finished, in one request. */
  async #running(signal: AbortSignal): Promise<Map<string, string>> {
    const fieldSelector = `spec.nodeName=${this.#context.node},status.phase!=Succeeded,status.phase!=Failed`;
    const selection = { fieldSelector, metadataOnly: true, namespace: "", fromCache: true, signal };
    const { items } = await this.#context.cluster.list<Pod>(PODS, selection);
    return new Map(items.map((pod) => [`${pod.metadata.namespace}/${pod.metadata.name}`, uidOf(pod)]));
  }

  async #end(due: GcPlan["due"][number], record: ClaimRecord | undefined, signal: AbortSignal): Promise<void> {
    const { containerId, ifname } = due.reserved;
    if (record?.owner.containerId === containerId) {
      await this.#sandboxes.end(record);
      return this.#context.told.freed(due);
    }
    using _lock = await this.#sandboxes.lock(due.reserved);
    const now = this.#sandboxes.journal.find(containerId, ifname);
    if (!now || isSurplus(due.reserved, now)) await free(due, this.#context, signal);
  }
}
