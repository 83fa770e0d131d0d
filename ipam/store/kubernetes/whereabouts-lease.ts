import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, LEASES } from "../../../kubernetes/cluster.ts";
import { type Lease, WHEREABOUTS_LEASE } from "../../../kubernetes/lease.ts";
import { Unchanged } from "../../../kubernetes/unchanged.ts";
import { isOutdated } from "./failure.ts";

/** Nobody's podref, which is what Whereabouts writes here. */
const IDENTITY = "railnet";

/** So long a turn is waited for. Without one our writes are right all the same; they make Whereabouts try again. */
const WAIT_MS = 5_000;
const POLL_MS = 60;

/** After a turn of ours so many of Whereabouts' come first, or the lease lies free for so long. */
const THEIR_TURNS = 3;
const GAP_MS = 300;

/** On the lease: the number (leaseTransitions) of the last turn that was ours. */
const OUR_TURN = "railnet.io/turn";

/** A holder that has not changed the lease for so long is gone: client-go's leaseDurationSeconds, which Whereabouts makes 1. */
const EXPIRED_MS = 1_000;

/** A Whereabouts that renewed nothing for so long has no call that could be disturbed. */
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
 * Turns with a live Whereabouts, by the lease that it takes for each ADD and DEL (client-go's protocol: whoever writes
 * its name into a free one, resourceVersion tested, has it). It reads a pool and writes it if nobody else has meanwhile,
 * for 10 s with five requests a second: patches of others in between make it fail. `renewTime` is left as Whereabouts
 * wrote it, since client-go does not look at it, and everybody else reads it as a sign of life.
 *
 * A courtesy: what is written without the lease is right, too, so trouble with it is no error.
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

  /** Does the work in a turn of ours, or without one when none comes in time. What comes while one is waited for shares it. */
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

  /** @returns undefined without a turn: there is no live Whereabouts, it took too long, or the server refused. */
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

  /** By the clocks of two machines, which may be hours apart; so what renews while this process looks lives, whatever they say. */
  #isIdle({ spec: { renewTime = "" } }: Lease): boolean {
    const unchangedMs = this.#renewal.forMs(renewTime);
    this.#firstRenewal ??= renewTime;
    const isSeenAlive = renewTime !== this.#firstRenewal && unchangedMs < IDLE_MS;
    return !isSeenAlive && !(Math.abs(Date.now() - Date.parse(renewTime)) < IDLE_MS);
  }

  /** What is somebody else's by now stays so. */
  async #giveBack(held: Lease | undefined): Promise<void> {
    if (!held) return;
    const spec = { ...held.spec, holderIdentity: "" };
    await this.#cluster.replace<Lease>(LEASES, { ...held, spec }).then(
      ({ metadata }) => this.#version.forMs(metadata.resourceVersion),
      () => {},
    );
  }
}

/** Each turn has a number of its own: to client-go a lease that looks the same is the same, and old. */
function taken({ metadata, spec, ...lease }: Lease): Lease {
  const leaseTransitions = (spec.leaseTransitions ?? 0) + 1;
  const annotations = { ...metadata.annotations, [OUR_TURN]: `${leaseTransitions}` };
  return {
    ...lease,
    metadata: { ...metadata, annotations },
    spec: { ...spec, holderIdentity: IDENTITY, leaseDurationSeconds: 1, leaseTransitions },
  };
}
