import type { Log } from "../../cni/host.ts";
import { ApiError, type Cluster, NODES } from "../../kubernetes/cluster.ts";
import { pause } from "../loop.ts";

/** After an API server's restart so many nodes come back in a second at most: each asks for all that it follows. */
const BACK_PER_SECOND = 1000;
const LEAST_SPREAD_MS = 300;

/** Beyond so many nodes a watch of each one's own reservations costs the API server more than asking does: bench/ipam. */
const MOST_WATCHING = 500;

/** Between two tries to count while the API server does not answer. */
const RETRY_MS = 2_000;

/** How many nodes there are, as far as that changes when one of them may ask the API server. */
export class Fleet {
  /** The number is as the cluster said; fulfilled also where it does not tell: then it counts as a small one. */
  readonly known: Promise<void>;
  #nodes = 0;

  constructor(nodes: Promise<number> | number = 0) {
    this.known = Promise.resolve(nodes).then((count) => {
      this.#nodes = count;
    });
  }

  /** One small request. A server that does not answer is asked again; one that refuses has told nothing. */
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

  /** Whether its nodes ask about what is theirs, where those of a small one watch it. */
  get isLarge(): boolean {
    return this.#nodes > MOST_WATCHING;
  }

  /** Within which a node comes back after its connection was lost. */
  get spreadMs(): number {
    return Math.max(LEAST_SPREAD_MS, (this.#nodes / BACK_PER_SECOND) * 1000);
  }
}
