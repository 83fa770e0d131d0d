import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClaimRecord } from "../../ipam/journal.ts";
import { PODS } from "../../ipam/kubernetes/cluster.ts";
import { reservationName } from "../../ipam/whereabouts/names.ts";
import type { Context } from "./context.ts";
import { isPodref, type Pod, podIsOver, readPod } from "./evidence.ts";
import { free, tell } from "./free.ts";
import { inParallel } from "./parallel.ts";
import { type Finding, type GcPlan, planGc, type Suspicions } from "./plan-gc.ts";
import type { Reserved } from "./reserved.ts";
import type { Sandboxes } from "./sandboxes.ts";

/**
 * Frees this node's addresses that nobody needs any more: the journal does not know them, or their sandbox is gone; and
 * their pod is over; and both was so `graceMs` ago already. Without such a suspicion a look asks the API server nothing.
 */
export class NodeGc {
  readonly #context: Context;
  readonly #sandboxes: Sandboxes;
  readonly #graceMs: number;
  #suspicions: Suspicions = new Map();

  constructor(context: Context, sandboxes: Sandboxes, graceMs: number) {
    this.#context = context;
    this.#sandboxes = sandboxes;
    this.#graceMs = graceMs;
  }

  /**
   * @param own reservations of this node, as of before the call: a claim is in the journal before it is one.
   * @throws {ApiError | StoreError}
   */
  async look(own: readonly Reserved[], signal: AbortSignal): Promise<void> {
    const journal = await this.#readJournal();
    const suspects = own.filter((one) => isPodref(one.podref) && !this.#isInUse(one, journal.get(one.metadata.name)));
    const findings = suspects.length > 0 ? await this.#findings(suspects, signal) : [];
    const { suspicions, due } = planGc(this.#suspicions, findings, {
      nowMs: performance.now(),
      graceMs: this.#graceMs,
    });
    this.#suspicions = suspicions;
    for (const one of due) await this.#end(one, journal.get(one.reserved.metadata.name), signal);
  }

  /** Claims by name of their reservation. */
  async #readJournal(): Promise<Map<string, ClaimRecord>> {
    const claims = new Map<string, ClaimRecord>();
    for (const record of this.#sandboxes.journal.all()) {
      for (const { pool, ip } of record.addresses) claims.set(reservationName(pool.network, ip), record);
      await nextTurn();
    }
    return claims;
  }

  /** Work that has begun (an ADD, a release) is in use: whoever does it ends it. */
  #isInUse({ containerId }: Reserved, record: ClaimRecord | undefined): boolean {
    const isKnown = record?.owner.containerId === containerId;
    if (isKnown && record.phase !== "held") return true;
    return this.#sandboxes.isAlive(containerId, isKnown ? record : undefined);
  }

  async #findings(suspects: readonly Reserved[], signal: AbortSignal): Promise<Finding[]> {
    const running = await this.#running(signal);
    const findings: Finding[] = [];
    await inParallel(suspects, async (reserved) => {
      const { podref, podUid } = reserved;
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
    return new Map(items.map(({ metadata: { namespace, name, uid = "" } }) => [`${namespace}/${name}`, uid]));
  }

  async #end(due: GcPlan["due"][number], record: ClaimRecord | undefined, signal: AbortSignal): Promise<void> {
    const { containerId } = due.reserved;
    if (record?.owner.containerId !== containerId) return await free(due, this.#context, signal);
    await this.#sandboxes.end(record);
    tell(due, this.#context);
  }
}
