import type { Log } from "../../cni/host.ts";
import { ApiError, type Cluster, NODES } from "../../kubernetes/cluster.ts";
import { pause } from "../loop.ts";

/** Limit on nodes reconnecting per second after an API server's restart: each lists everything that it follows. */
const BACK_PER_SECOND = 1000;
const LEAST_SPREAD_MS = 300;

/** With more nodes, a watch of each one's own reservations costs the API server more than polling: bench/ipam. */
const MOST_WATCHING = 500;

/** Pause between attempts to count while the API server does not answer. */
const RETRY_MS = 2_000;

/** How many nodes there are, as far as it matters for when one of them may ask the API server. */
export class Fleet {
  /** Fulfilled when the cluster has given the number, or has refused: then it counts as a small one. */
  readonly known: Promise<void>;
  #nodes = 0;

  constructor(nodes: Promise<number> | number = 0) {
    this.known = Promise.resolve(nodes).then((count) => {
      this.#nodes = count;
    });
  }

  /** One small request, repeated if the server does not answer; one that refuses has told nothing. */
  static of(cluster: Cluster, log: Log, signal: AbortSignal): Fleet {
    const count = async (): Promise<number> => {
      while (!signal.aborted)
        try {
          return await cluster.count(NODES, { signal });
        } catch (err) {
          log.debug({ err }, "cannot count the nodes; retrying");
          if (err instanceof ApiError && err.status >= 400 && err.status < 429) break;
          await pause(RETRY_MS * (0.5 + Math.random()), signal);
        }
      return 0;
    };
    return new Fleet(count());
  }

  /** Whether its nodes poll their own reservations; those of a small one watch them. */
  get isLarge(): boolean {
    return this.#nodes > MOST_WATCHING;
  }

  /** The spread over which nodes reconnect after a lost connection. */
  get spreadMs(): number {
    return Math.max(LEAST_SPREAD_MS, (this.#nodes / BACK_PER_SECOND) * 1000);
  }
}
