import type { Cluster } from "../../../kubernetes/cluster.ts";
import { Unchanged } from "../../../kubernetes/unchanged.ts";
import { agentLeases, staticsOf } from "../node/report.ts";
import { mayBeStaticOn } from "../node/static-pods.ts";
import { patienceMs } from "./gone-nodes.ts";
import type { NodeState } from "./nodes.ts";

/**
 * Pods that no object shows, and that may run all the same: their kubelet has them from a file of its node. The agent of that
 * node says so; while it is silent nobody knows.
 */
export class StaticPods {
  readonly #cluster: Cluster;
  readonly #stateOf: (node: string) => NodeState;
  readonly #silentMs: number;
  /** Leases of agents, as they were seen. */
  #seen = new Map<string, Unchanged>();

  /** @param stateOf what is remembered of a node. */
  constructor(cluster: Cluster, stateOf: (node: string) => NodeState, graceMs: number) {
    this.#cluster = cluster;
    this.#stateOf = stateOf;
    this.#silentMs = patienceMs(graceMs);
  }

  /**
   * To be asked at each look, so that it is known who is silent.
   *
   * @returns whether a pod may run though it has no object, by its podref.
   * @throws {ApiError}
   */
  async look(signal: AbortSignal): Promise<(podref: string) => boolean> {
    const leases = await agentLeases(this.#cluster, signal);
    const before = this.#seen;
    this.#seen = new Map();
    const said = leases.map(({ node, metadata }) => {
      const seen = before.get(node) ?? new Unchanged();
      this.#seen.set(node, seen);
      const isSilent = seen.forMs(metadata.resourceVersion) >= this.#silentMs;
      return { node, isUnknown: isSilent && this.#stateOf(node) !== "gone", statics: new Set(staticsOf(metadata)) };
    });
    return (podref) =>
      said.some(({ node, isUnknown, statics }) => mayBeStaticOn(podref, node) && (isUnknown || statics.has(podref)));
  }
}
