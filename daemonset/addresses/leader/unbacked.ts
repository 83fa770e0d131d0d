import { isNobody } from "../../../ipam/whereabouts/quarantine.ts";
import type { Context } from "../context.ts";
import { isPodref, podIsOver, readPod } from "../evidence.ts";
import { inParallel } from "../parallel.ts";
import type { RecordLocation } from "../record-location.ts";
import { PodOwners, reserve } from "./adopt.ts";
import type { ViewChange } from "./plan-view.ts";

/** A running pod with an unbacked record is looked at again after this time. */
const ASK_AGAIN_MS = 60_000;

/** Keys of records that no reservation backs. */
export interface Settled {
  /** Their pods are gone. */
  readonly over: ReadonlySet<string>;
  /** Their pods are ending. */
  readonly ending: ReadonlySet<string>;
}

/** Decides about a pool's records that no reservation backs: by their pods. */
export class UnbackedRecords {
  readonly #context: Pick<Context, "cluster" | "told">;
  /** Records whose pod was found alive, and when. */
  readonly #asked = new Map<string, number>();

  constructor(context: Pick<Context, "cluster" | "told">) {
    this.#context = context;
  }

  /**
   * If the pod is running, or the record is another program's mark, the address gets the missing reservation. Not if the pod
   * is terminating: its DEL may have released the address a moment ago, which a new leader did not see.
   *
   * @param records changes that would remove them.
   */
  async settle(records: readonly ViewChange[], { pool, ipOf }: RecordLocation, signal: AbortSignal): Promise<Settled> {
    const [over, ending, backed] = [new Set<string>(), new Set<string>(), new Set<string>()];
    const { cluster } = this.#context;
    const pods = new PodOwners(this.#context, signal);
    await inParallel(this.#toAsk(records), async ({ key, from }) => {
      const record = from!;
      const ip = ipOf(key);
      if (isNobody(record.podref)) return void over.add(key);
      const isMark = !isPodref(record.podref);
      const pod = isMark ? undefined : await readPod(cluster, record.podref, signal);
      if (!isMark && podIsOver(pod, "")) over.add(key);
      else if (pod?.metadata.deletionTimestamp) ending.add(key);
      else if (ip !== undefined && (await reserve({ pool, ip, record }, pods, this.#context, signal))) backed.add(key);
    });
    // Not held against them: once that reservation is gone, too, the pod is read at once.
    for (const { key, from } of records)
      if (ending.has(key) || backed.has(key)) this.#asked.delete(`${key} ${from!.id}`);
    return { over, ending };
  }

  /** Nothing is checked again within a minute. */
  #toAsk(records: readonly ViewChange[]): ViewChange[] {
    const nowMs = performance.now();
    for (const [record, askedMs] of this.#asked) if (nowMs - askedMs > ASK_AGAIN_MS) this.#asked.delete(record);
    const toAsk = records.filter(({ key, from }) => !this.#asked.has(`${key} ${from!.id}`));
    for (const { key, from } of toAsk) this.#asked.set(`${key} ${from!.id}`, nowMs);
    return toAsk;
  }
}
