import type { Log } from "../../cni/host.ts";
import { type Cluster, NODES } from "../../kubernetes/cluster.ts";

/** After an API server's restart so many nodes come back in a second at most: each asks for all that it follows. */
const BACK_PER_SECOND = 1000;
const LEAST_SPREAD_MS = 300;

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

  /** One small request. */
  static of(cluster: Cluster, log: Log, signal: AbortSignal): Fleet {
    const unknown = (err: unknown) => {
      log.debug({ err }, "the number of nodes is not known");
      return 0;
    };
    return new Fleet(cluster.count(NODES, { signal }).catch(unknown));
  }

  /** Within which a node comes back after its connection was lost. */
  get spreadMs(): number {
    return Math.max(LEAST_SPREAD_MS, (this.#nodes / BACK_PER_SECOND) * 1000);
  }
}
