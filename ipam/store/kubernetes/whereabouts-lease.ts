import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, LEASES } from "../../../kubernetes/cluster.ts";
import { type Lease, WHEREABOUTS_LEASE } from "../../../kubernetes/lease.ts";
import { Unchanged } from "../../../kubernetes/unchanged.ts";
import { isOutdated } from "./failure.ts";

/** No pod's podref; Whereabouts writes a podref here. */
const IDENTITY = "railnet";

/** How long to wait for a turn. Writes without one are correct too; they only make Whereabouts retry. */
const WAIT_MS = 5_000;
const POLL_MS = 60;

/** After a turn of ours this many of Whereabouts' come first, unless the lease is free for as long. */
const THEIR_TURNS = 3;
const GAP_MS = 300;

/** On the lease: the number (leaseTransitions) of our last turn. */
const OUR_TURN = "railnet.io/turn";

/** A holder that has not changed the lease for this long is gone: client-go's leaseDurationSeconds, which Whereabouts sets to 1. */
const EXPIRED_MS = 1_000;

/** A Whereabouts that has renewed nothing for this long has no call that could be disturbed. */
const IDLE_MS = 600_000;

interface Turn {
  readonly begun: Promise<void>;
  users: number;
  end(): void;
}

export interface WhereaboutsLeaseOptions {
  readonly cluster: Cluster;
  /** Default 300 ms. */
  readonly gapMs?: number;
  /** Default 5 s. */
  readonly waitMs?: number;
}

/**
 * Takes turns with a running Whereabouts, by the lease that it takes for each ADD and DEL (client-go's protocol: whoever
 * writes its name into a free one, testing the resourceVersion, has it). It reads a pool and writes it if nobody else has
 * meanwhile, for 10 s with five requests a second: patches of others in between make it fail. `renewTime` is left as
 * Whereabouts wrote it, since client-go ignores it, and everybody else reads it as a sign of life.
 *
 * A courtesy: what is written without the lease is correct, too, so trouble with it is not an error.
 */
export class WhereaboutsLease {
  readonly #cluster: Cluster;
  readonly #gapMs: number;
  readonly #waitMs: number;
  #next: Turn | undefined;
  #last: Promise<void> = Promise.resolve();
  readonly #version = new Unchanged();
  readonly #renewal = new Unchanged();
  #firstRenewal: string | undefined;

  constructor({ cluster, gapMs = GAP_MS, waitMs = WAIT_MS }: WhereaboutsLeaseOptions) {
    this.#cluster = cluster;
    this.#gapMs = gapMs;
    this.#waitMs = waitMs;
  }

  /** Does the work in a turn of ours, or without one if none comes in time. Work that arrives during the wait shares the turn. */
  async during(work: () => Promise<void>): Promise<void> {
    const turn = this.#next ?? this.#begin();
    turn.users++;
    await turn.begun;
    try {
      await work();
    } finally {
      if (--turn.users === 0) turn.end();
    }
  }

  #begin(): Turn {
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const lease = this.#last.then(() => this.#take()).finally(() => (this.#next = undefined));
    this.#last = Promise.all([lease, ended]).then(([held]) => this.#giveBack(held));
    this.#next = { begun: lease.then(() => {}), users: 0, end };
    return this.#next;
  }

  /** @returns undefined without a turn: there is no running Whereabouts, it took too long, or the server refused. */
  async #take(): Promise<Lease | undefined> {
    for (const limitMs = performance.now() + this.#waitMs; performance.now() < limitMs; ) {
      try {
        const lease = await this.#cluster.get<Lease>(LEASES, WHEREABOUTS_LEASE);
        if (!lease || this.#isIdle(lease)) return undefined;
        if (this.#isOurs(lease)) return await this.#cluster.replace(LEASES, taken(lease));
      } catch (error) {
        if (!isOutdated(error)) return undefined;
      }
      await sleep(POLL_MS * (0.5 + Math.random()));
    }
    return undefined;
  }

  /** Whether the lease is free, and the next turn is ours. */
  #isOurs(lease: Lease): boolean {
    const { holderIdentity, leaseTransitions = 0 } = lease.spec;
    const unchangedMs = this.#version.forMs(lease.metadata.resourceVersion);
    if (holderIdentity) return unchangedMs > EXPIRED_MS;
    const ours = Number(lease.metadata.annotations?.[OUR_TURN] ?? Number.NEGATIVE_INFINITY);
    return leaseTransitions - ours >= THEIR_TURNS || unchangedMs >= this.#gapMs;
  }

  /** By the clocks of two machines, which may be hours apart; so one that renews while this process watches is alive, whatever they say. */
  #isIdle({ spec: { renewTime = "" } }: Lease): boolean {
    const unchangedMs = this.#renewal.forMs(renewTime);
    this.#firstRenewal ??= renewTime;
    const isSeenAlive = renewTime !== this.#firstRenewal && unchangedMs < IDLE_MS;
    return !isSeenAlive && !(Math.abs(Date.now() - Date.parse(renewTime)) < IDLE_MS);
  }

  /** A lease that has another holder by now is left alone. */
  async #giveBack(held: Lease | undefined): Promise<void> {
    if (!held) return;
    const spec = { ...held.spec, holderIdentity: "" };
    await this.#cluster.replace<Lease>(LEASES, { ...held, spec }).then(
      ({ metadata }) => this.#version.forMs(metadata.resourceVersion),
      () => {},
    );
  }
}

/** Each turn has its own number: client-go takes a lease that looks the same for the same one, and expired. */
function taken({ metadata, spec, ...lease }: Lease): Lease {
  const leaseTransitions = (spec.leaseTransitions ?? 0) + 1;
  const annotations = { ...metadata.annotations, [OUR_TURN]: `${leaseTransitions}` };
  return {
    ...lease,
    metadata: { ...metadata, annotations },
    spec: { ...spec, holderIdentity: IDENTITY, leaseDurationSeconds: 1, leaseTransitions },
  };
}
