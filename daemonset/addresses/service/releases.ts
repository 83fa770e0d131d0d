import { setTimeout as sleep } from "node:timers/promises";
import type { IpamHost } from "../../../ipam/host.ts";
import { type ClaimJournal, type ClaimRecord, SETTLE_MS } from "../../../ipam/journal.ts";
import { lockAttachment } from "../../../ipam/lock.ts";
import { release } from "../../../ipam/release.ts";
import { StoreError } from "../../../ipam/store/store.ts";
import { attachmentKey } from "../../../records/record-files.ts";

/** Concurrent releases: a job's end brings hundreds at once, and the API server has others to serve. */
const AT_ONCE = 16;

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;

/** How many ended attachments are remembered, so that a repeated DEL of theirs sends nothing. */
const REMEMBERED = 4_096;

/**
 * Processes what DEL left on disk, each record exactly once however often it is tried: also after a restart, and what
 * stand-alone executables could not do. Records wait on disk; only their order is kept here.
 */
export class Releases {
  readonly #journal: ClaimJournal;
  readonly #host: IpamHost;
  readonly #waiting = new Map<string, ClaimRecord>();
  readonly #running = new Set<string>();
  readonly #done = new Set<string>();
  /** When requests that may still arrive were first looked for, by the monotonic clock. */
  readonly #unsettled = new Map<string, number>();
  readonly #settleMs: number;
  #failures = 0;
  #resting = 0;
  #pausedUntil = 0;
  #stopped = false;

  constructor(journal: ClaimJournal, host: IpamHost, settleMs = SETTLE_MS) {
    this.#journal = journal;
    this.#host = host;
    this.#settleMs = settleMs;
  }

  /** Records that are not processed yet. */
  get pending(): number {
    return this.#waiting.size + this.#running.size + this.#resting;
  }

  add(record: ClaimRecord): void {
    const key = attachmentKey(record.owner.containerId, record.owner.ifname);
    if (!this.#running.has(key)) this.#waiting.set(key, record);
    setImmediate(() => this.#pump());
  }

  /** Picks up what is on disk and unknown here: after a start, and what other processes left. */
  scan(): void {
    for (const record of this.#journal.all((torn) => this.#host.log.warn(torn, "record set aside: it is incomplete")))
      if (record.phase === "releasing") this.add(record);
  }

  wasReleased(containerId: string, ifname: string): boolean {
    return this.#done.has(attachmentKey(containerId, ifname));
  }

  stop(): void {
    this.#stopped = true;
  }

  #pump(): void {
    if (this.#stopped || performance.now() < this.#pausedUntil) return;
    for (const [key, record] of this.#waiting) {
      if (this.#running.size >= AT_ONCE) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#work(key, record);
    }
  }

  async #work(key: string, record: ClaimRecord): Promise<void> {
    try {
      if (await this.#release(key, record)) this.#remember(key);
      this.#failures = 0;
    } catch (err) {
      void this.#again(err, record);
    } finally {
      this.#running.delete(key);
      this.#pump();
    }
  }

  /** The present journal decides: the same sandbox may have been added again, or another process was quicker. */
  async #release(key: string, { owner: { containerId, ifname } }: ClaimRecord): Promise<boolean> {
    using _lock = await lockAttachment({ containerId, ifname }, this.#host);
    const now = this.#journal.find(containerId, ifname);
    const sinceMs = this.#unsettled.get(key);
    const isSettled = sinceMs !== undefined && performance.now() - sinceMs >= this.#settleMs;
    const isDone =
      now?.phase !== "releasing" ||
      (await release(now, await this.#host.store(now.storage), this.#journal, this.#host, isSettled));
    if (isDone) this.#unsettled.delete(key);
    else if (sinceMs === undefined) this.#lookAgain(key, now);
    return isDone;
  }

  /** A create that was never answered may still arrive. */
  #lookAgain(key: string, record: ClaimRecord): void {
    this.#unsettled.set(key, performance.now());
    void this.#rest(this.#settleMs, record);
  }

  /** All wait while the store does not answer; a record that it refuses only lets the others go first. */
  async #again(err: unknown, record: ClaimRecord): Promise<void> {
    const isRefused = err instanceof StoreError && err.kind === "refused";
    // One outage fails all that run at once: that counts as one failure.
    if (performance.now() >= this.#pausedUntil) this.#failures++;
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1)) * (0.5 + Math.random() / 2);
    if (!isRefused) this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + pauseMs);
    const { podref, ifname, containerId: containerID } = record.owner;
    this.#host.log.warn(
      { err, podref, ifname, containerID, retryMs: Math.round(pauseMs) },
      "addresses not released yet",
    );
    await this.#rest(pauseMs, record);
  }

  async #rest(ms: number, record: ClaimRecord): Promise<void> {
    this.#resting++;
    await sleep(Math.ceil(ms) + 1, undefined, { ref: false }); // timers may be early by a fraction of a millisecond
    this.#resting--;
    this.add(record);
  }

  #remember(key: string): void {
    this.#done.add(key);
    if (this.#done.size > REMEMBERED) this.#done.delete(this.#done.values().next().value!);
  }
}
