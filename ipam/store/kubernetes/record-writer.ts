import { ApiError, type Cluster, IP_POOLS } from "../../../kubernetes/cluster.ts";
import type { IpamStep } from "../../steps.ts";
import { toRecord } from "../../whereabouts/objects.ts";
import { type Claim, type Owner, type Released, StoreError } from "../store.ts";
import { isGone, isOutdated, isUnclear } from "./failure.ts";
import type { PoolView } from "./pool-view.ts";
import { made, operations, type PatchOutcome, type RecordChange, settled } from "./record-change.ts";

/** Records per patch. The server accepts 10,000 operations and 3 MB; a failed batch is read again and rebuilt. */
const MAX_BATCH = 256;

/** A batch that failed this often is split: one of its records may be refused for its content. */
const SPLIT_AFTER = 2;
const MAX_TRIES = 6;

/** A larger pool has probably outgrown etcd (1.5 MiB) when the server fails to write it. */
const LARGE_POOL = 5_000;

export interface RecordRemoval {
  readonly outcome: Released;
  /** With `foreign`: whose record it is. */
  readonly holder?: Owner;
}

interface Waiting {
  readonly change: RecordChange;
  readonly resolve: (outcome: PatchOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Compare-and-swap of single records in one IPPool. The resourceVersion is never tested: Whereabouts does that, and
 * both would starve. Changes that arrive while a patch is in flight go together with the next one, since each patch costs
 * the server 0.1 ms per record in the pool.
 */
export class RecordWriter {
  readonly view: PoolView;
  readonly #cluster: Cluster;
  readonly #reread: () => Promise<void>;
  readonly #step: (step: IpamStep) => void;
  readonly #turn: (work: () => Promise<void>) => Promise<void>;
  #waiting: Waiting[] = [];
  #isBusy = false;

  /**
   * @param reread updates the view, and creates the pool if it is gone.
   * @param turn runs a batch when it is our turn to write: what arrives meanwhile joins it.
   */
  constructor(
    cluster: Cluster,
    view: PoolView,
    reread: () => Promise<void>,
    step: (step: IpamStep) => void,
    turn: (work: () => Promise<void>) => Promise<void>,
  ) {
    this.view = view;
    this.#cluster = cluster;
    this.#reread = reread;
    this.#step = step;
    this.#turn = turn;
  }

  /** @returns who has the address if it is another. @throws {ApiError} {StoreError} */
  async write(key: string, { owner, isOver }: Pick<Claim, "owner" | "isOver">): Promise<Owner | undefined> {
    const outcome = await this.#enqueue({ kind: "write", key, owner, ...(isOver && { isOver }) });
    if (outcome.kind === "held") return outcome.owner;
    this.#step("store-record-written");
    return undefined;
  }

  async remove(key: string, owner: Owner): Promise<RecordRemoval> {
    const outcome = await this.#enqueue({ kind: "remove", key, owner });
    if (outcome.kind !== "removed") return { outcome: "absent" };
    if (outcome.outcome === "released") this.#step("store-record-removed");
    return outcome;
  }

  #enqueue(change: RecordChange): Promise<PatchOutcome> {
    // Node.js 20, which the library supports, has no Promise.withResolvers().
    return new Promise((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      void this.#work();
    });
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#waiting.length > 0) await this.#turn(() => this.#commit(this.#nextBatch()));
    this.#isBusy = false;
  }

  /** In order; the second change of one key waits for the first. */
  #nextBatch(): Waiting[] {
    const keys = new Set<string>();
    const batch: Waiting[] = [];
    const later: Waiting[] = [];
    for (const one of this.#waiting) {
      const fits = batch.length < MAX_BATCH && !keys.has(one.change.key);
      (fits ? batch : later).push(one);
      keys.add(one.change.key);
    }
    this.#waiting = later;
    return batch;
  }

  /** Settles every change of the batch. Never throws. */
  async #commit(batch: readonly Waiting[]): Promise<void> {
    let open = batch;
    for (let attempt = 1; open.length > 0; attempt++) {
      const error = await this.#patch(open);
      if (!error) return;
      if (!isOutdated(error) && !isUnclear(error) && !isGone(error)) return fail(open, error);
      const failed = await this.#reread().then(
        () => undefined,
        (e: unknown) => e,
      );
      if (failed) return fail(open, isUnclear(error) ? error : failed);
      open = open.filter((one) => !this.#settle(one));
      if (attempt >= MAX_TRIES) return fail(open, this.#gaveUp(error));
      if (attempt >= SPLIT_AFTER && open.length > 1) return this.#split(open);
    }
  }

  async #split(open: readonly Waiting[]): Promise<void> {
    const half = open.length >> 1;
    await this.#commit(open.slice(0, half));
    await this.#commit(open.slice(half));
  }

  /** @returns why it was not made, or may not have been. */
  async #patch(open: readonly Waiting[]): Promise<unknown> {
    const { view } = this;
    const patch = open.flatMap(({ change }) => operations(change, view.record(change.key)));
    try {
      await this.#cluster.patch(IP_POOLS, view.pool.name, patch, { metadataOnly: true });
    } catch (error) {
      return error ?? new Error("unknown");
    }
    for (const one of open) {
      const { kind, key, owner } = one.change;
      view.setRecord(key, kind === "write" ? toRecord(owner) : undefined);
      one.resolve(made(one.change));
    }
    return undefined;
  }

  #settle({ change, resolve }: Waiting): boolean {
    const outcome = settled(change, this.view.record(change.key));
    if (outcome) resolve(outcome);
    return outcome !== undefined;
  }

  #gaveUp(error: unknown): StoreError {
    const { name } = this.view.pool;
    const { message } = error as Error;
    const count = this.view.recordCount;
    if (count >= LARGE_POOL && error instanceof ApiError && error.status >= 500)
      return new StoreError(
        "refused",
        `cannot record an address in pool ${name}: it has ${count} records, and one object holds no more than about 7,900 ` +
          `to 11,000 (${message}); use another range, or end Whereabouts and set the cluster to "absent"`,
        { cause: error },
      );
    const kind = isUnclear(error) ? "unclear" : isOutdated(error) ? "refused" : "unavailable";
    return new StoreError(kind, `cannot record an address in pool ${name}: ${message}; tried ${MAX_TRIES} times`, {
      cause: error,
    });
  }
}

function fail(open: readonly Waiting[], error: unknown): void {
  for (const { reject } of open) reject(error);
}
