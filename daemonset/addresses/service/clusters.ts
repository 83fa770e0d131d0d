import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterWork } from "./cluster-work.ts";

/**
 * A first ADD waits this long to learn the cluster's mode, and whether this node's reservations are all there; then it
 * uses the mode that is always safe.
 */
const WAIT_MS = 2_000;

/**
 * The clusters that store addresses of this node: nearly always one, the node's own; a network configuration may name
 * another one's kubeconfig. The work for each starts when it is first named, and ends with stop().
 */
export class Clusters {
  readonly #connect: (kubeconfig: string) => Promise<ClusterWork>;
  readonly #works = new Map<string, Promise<ClusterWork>>();
  #isStopped = false;

  /** @param connect the work for a cluster, not started; rejects when its configuration cannot be used. */
  constructor(connect: (kubeconfig: string) => Promise<ClusterWork>) {
    this.#connect = connect;
  }

  /** The work for a cluster, started. A failed connection is tried again by the next call. @throws {ApiError} */
  async of(kubeconfig: string): Promise<ClusterWork> {
    const known = this.#works.get(kubeconfig);
    if (known) return known;
    const starting = this.#start(kubeconfig);
    this.#works.set(kubeconfig, starting);
    starting.catch(() => this.#works.delete(kubeconfig));
    return starting;
  }

  /** Ends the work for all. Later calls find a store, and no work behind it. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const works = await Promise.allSettled(this.#works.values());
    await Promise.all(works.map(async (one) => one.status === "fulfilled" && one.value.stop()));
  }

  async #start(kubeconfig: string): Promise<ClusterWork> {
    const work = await this.#connect(kubeconfig);
    if (this.#isStopped) return work;
    work.start();
    await Promise.race([work.known, sleep(WAIT_MS, undefined, { ref: false })]);
    return work;
  }
}
