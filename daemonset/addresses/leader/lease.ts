import type { Log } from "../../../cni/host.ts";
import { ApiError, type Cluster, LEASES } from "../../../kubernetes/cluster.ts";
import { type Lease, microTime } from "../../../kubernetes/lease.ts";
import { pause } from "../../loop.ts";

/** One lease for everything that one agent does for all. */
export const LEADER_LEASE = "railnet-leader";

/** An agent that stops while the API server is gone waits no longer than this: its successor does not need the lease released. */
const GIVE_BACK_MS = 2_000;

export interface LeaseOptions {
  readonly cluster: Cluster;
  /** Unique to this process: name of the node and a UUID. */
  readonly identity: string;
  readonly log: Log;
  /** A leader that has been silent for this long is replaced. Default 3 min: what it does for others can wait. */
  readonly durationMs?: number;
  /** Default 1 min: one request a minute, of the leader alone. */
  readonly renewMs?: number;
  /** Candidates wait up to this long before they try, so that a thousand do not come at once. Default 2 s. */
  readonly jitterMs?: number;
}

/**
 * Leader election over one Lease. Candidates send no requests: they watch the Lease, and a leader is gone if nothing has
 * changed for `durationMs` of their own clock, so clocks need not agree. A leader that cannot renew stops leading after
 * two thirds of that. An agent that was killed leaves its Lease to its successor on the node at once: a node has one agent.
 * All writes test the resourceVersion: one of all candidates succeeds.
 */
export class Election {
  readonly #options: Required<LeaseOptions>;
  #seen: Lease | undefined;
  #isNew = true;
  /** Until then another may lead. */
  #freeMs = 0;
  #wake = (): void => {};

  constructor(options: LeaseOptions) {
    this.#options = { durationMs: 180_000, renewMs: 60_000, jitterMs: 2_000, ...options };
  }

  /** The Lease as the watch shows it; undefined if there is none. */
  saw(lease: Lease | undefined): void {
    if (lease?.metadata.resourceVersion === this.#seen?.metadata.resourceVersion) return;
    // If released it is free at once; if deleted by others it is not: its holder may not know yet.
    const holder = (lease ?? this.#seen)?.spec.holderIdentity;
    const { identity } = this.#options;
    const isOwn = holder === identity; // acquired, and the answer was lost
    const isFree = !holder || isOwn || (this.#isNew && nodeOf(holder) === nodeOf(identity));
    this.#freeMs = isFree ? 0 : performance.now() + this.#options.durationMs;
    this.#seen = lease;
    this.#isNew = false;
    this.#wake();
  }

  /**
   * Leads whenever it is this one's turn, until `signal`. Never rejects.
   *
   * @param onLead does the work of a term until its signal, which comes before anybody else can lead.
   */
  async run(signal: AbortSignal, onLead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      const sinceMs = await this.#untilFree(signal);
      if (signal.aborted || sinceMs === undefined) continue;
      const lease = await this.#take(signal);
      if (lease) await this.#term(lease, sinceMs, signal, onLead);
    }
  }

  /** @returns when the wait ended, undefined if the Lease has changed meanwhile. */
  async #untilFree(signal: AbortSignal): Promise<number | undefined> {
    const restMs = Math.max(0, this.#freeMs - performance.now());
    const changed = new AbortController();
    this.#wake = () => changed.abort();
    await pause(restMs + Math.random() * this.#options.jitterMs, AbortSignal.any([signal, changed.signal]));
    return changed.signal.aborted ? undefined : performance.now();
  }

  async #take(signal: AbortSignal): Promise<Lease | undefined> {
    const { identity, log, jitterMs } = this.#options;
    const before = this.#seen?.spec;
    const spec = {
      ...this.#renewed(),
      acquireTime: microTime(new Date()),
      leaseTransitions: (before?.leaseTransitions ?? -1) + 1,
    };
    try {
      const lease = await this.#write(this.#seen, spec, signal);
      this.saw(lease);
      log.info({ identity, before: before?.holderIdentity ?? "" }, "this agent leads");
      return lease;
    } catch (err) {
      if (!isConflict(err) && !signal.aborted) log.warn({ err }, "cannot become the leader; retrying");
      await this.#look(signal);
      await pause(jitterMs, signal);
      return undefined;
    }
  }

  async #term(
    lease: Lease,
    sinceMs: number,
    signal: AbortSignal,
    onLead: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { log, identity } = this.#options;
    const term = new AbortController();
    const end = AbortSignal.any([signal, term.signal]);
    const work = onLead(end)
      .catch((err) => log.warn({ err }, "the leader's work failed; starting another term"))
      .finally(() => term.abort());
    const last = await this.#keepRenewing(lease, sinceMs, end);
    term.abort();
    await work;
    log.info({ identity, isGivenBack: last !== undefined }, "this agent no longer leads");
    const limit = AbortSignal.timeout(GIVE_BACK_MS);
    if (last) await this.#write(last, { ...last.spec, holderIdentity: "" }, limit).catch(() => {});
  }

  /** @returns the Lease, still this one's, at `signal`; undefined when it is lost or too old to rely on. */
  async #keepRenewing(lease: Lease, sinceMs: number, signal: AbortSignal): Promise<Lease | undefined> {
    const { durationMs, renewMs } = this.#options;
    let current: Lease | undefined = lease;
    let renewedMs = sinceMs;
    for (let waitMs = renewMs; ; ) {
      await pause(waitMs, signal);
      if (signal.aborted) return current;
      const startMs = performance.now();
      const leftMs = renewedMs + (durationMs * 2) / 3 - startMs;
      if (leftMs <= 0) return undefined;
      const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(leftMs))]);
      const renewed = await this.#renew(current, limit);
      if (renewed === "lost") return undefined;
      if (renewed) [current, renewedMs] = [renewed, startMs];
      waitMs = renewed ? renewMs : renewMs / 5;
    }
  }

  /** @returns undefined if the outcome is unclear. */
  async #renew(lease: Lease, signal: AbortSignal): Promise<Lease | "lost" | undefined> {
    try {
      return await this.#write(lease, { ...lease.spec, ...this.#renewed() }, signal);
    } catch (error) {
      if (!isConflict(error)) return undefined;
    }
    const now = await this.#look(signal);
    if (now === undefined) return undefined;
    return now?.spec.holderIdentity === this.#options.identity ? this.#renew(now, signal) : "lost";
  }

  /** @returns null if there is no Lease, undefined if that cannot be determined. */
  async #look(signal: AbortSignal): Promise<Lease | null | undefined> {
    try {
      const lease = await this.#options.cluster.get<Lease>(LEASES, LEADER_LEASE, { signal });
      this.saw(lease);
      return lease ?? null;
    } catch {
      return undefined;
    }
  }

  #renewed(): Lease["spec"] {
    const { identity, durationMs } = this.#options;
    const leaseDurationSeconds = Math.ceil(durationMs / 1000);
    return { holderIdentity: identity, leaseDurationSeconds, renewTime: microTime(new Date()) };
  }

  #write(from: Lease | undefined, spec: Lease["spec"], signal?: AbortSignal): Promise<Lease> {
    const { cluster } = this.#options;
    if (from) return cluster.replace<Lease>(LEASES, { ...from, spec }, { signal });
    const object = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { name: LEADER_LEASE }, spec };
    return cluster.create<Lease>(LEASES, object, { signal });
  }
}

/** Node names contain no underscore. */
const nodeOf = (identity: string): string => identity.split("_", 1)[0]!;

const isConflict = (error: unknown): boolean => error instanceof ApiError && error.status === 409;
