import { type Cluster, LEASES, NODES } from "../../../kubernetes/cluster.ts";
import { agentLeases, ReportTracker } from "../node/report.ts";
import { inParallel } from "../parallel.ts";
import type { Reserved } from "../reserved.ts";
import { type Node, type NodeState, nodeState } from "./nodes.ts";

/** An agent of a node without a Node object is given up after this many grace periods: it reports every 2 minutes. */
const SILENT_GRACES = 6;

/** How long a node must have been silent before another one gives its addresses out. */
export const patienceMs = (graceMs = 60_000): number => SILENT_GRACES * graceMs;

/** Allowance for the clocks of two API servers: a reservation younger than its node by less proves nothing. */
const SKEW_MS = 60_000;

/** What is known of a node, possibly stale. */
export interface NodeMemory {
  readonly state: NodeState;
  /** When its object was created, by the clock of an API server. */
  readonly bornMs?: number;
}

/** Why a node no longer looks after an address. */
export interface Left {
  readonly why: string;
  /** An operator says that nothing runs on the node. Silence alone is no proof: it may be cut off. */
  readonly isProven: boolean;
}

/**
 * Nodes on which nothing runs any more, and the evidence. A node created again under the same name (a reimaged machine)
 * has nothing of its predecessor; until it has an agent nobody else looks after what that one left.
 */
export class GoneNodes {
  readonly #cluster: Cluster;
  readonly #memory: (node: string) => NodeMemory | undefined;
  readonly #silentMs: number;
  readonly #reports = new ReportTracker();
  #silent: ReadonlySet<string> = new Set();

  constructor(cluster: Cluster, memory: (node: string) => NodeMemory | undefined, graceMs: number) {
    this.#cluster = cluster;
    this.#memory = memory;
    this.#silentMs = patienceMs(graceMs);
  }

  /** From what is cached: whether it is worth asking. */
  mayHaveLeft(reserved: Reserved): boolean {
    const node = this.#memory(reserved.node);
    return !node || node.state === "gone" || isOlder(reserved, node.bornMs);
  }

  /**
   * Starts watching whether the agents of these nodes report, so that a node's silence is established when its turn comes.
   *
   * @throws {ApiError}
   */
  async listen(nodes: Iterable<string>, signal: AbortSignal): Promise<void> {
    const silent = new Set<string>();
    await inParallel(nodes, async (node) => {
      if (await this.#isSilent(node, signal)) silent.add(node);
    });
    this.#silent = silent;
  }

  /** @returns a function that asks about each node once. A quorum read: what is cached of the nodes may be stale. */
  inquiry(signal: AbortSignal): (reserved: Reserved) => Promise<Left | undefined> {
    const nodes = new Map<string, Promise<Node | undefined>>();
    return async (reserved) => {
      const { node: name } = reserved;
      const asked = nodes.get(name) ?? this.#cluster.get<Node>(NODES, name, { signal });
      nodes.set(name, asked);
      const node = await asked;
      const why = whyLeft(reserved, node);
      if (!why) return undefined;
      if (node && nodeState(node) === "gone") return { why, isProven: true };
      if (!this.#silent.has(name)) return undefined;
      return { why: `${why}, and its agent has been silent for ${this.#silentMs / 1000} s`, isProven: false };
    };
  }

  /**
   * Deletes the leases of agents whose nodes are gone, once nothing is reserved for them: a cluster that scales up and down
   * would keep them for ever.
   *
   * @throws {ApiError}
   */
  async endLeases(hasReservations: (node: string) => boolean, signal: AbortSignal): Promise<void> {
    for (const { node, metadata } of await agentLeases(this.#cluster, signal)) {
      if (this.#memory(node) || hasReservations(node)) continue;
      if (!(await this.#isSilent(node, signal)) || (await this.#cluster.get(NODES, node, { signal }))) continue;
      const { name, uid = "", resourceVersion = "" } = metadata;
      await this.#cluster.delete(LEASES, name, { uid, resourceVersion }, { signal });
    }
  }

  /** A node that was deleted, or that has another name there, may still run; then its agent knows what is over. */
  async #isSilent(node: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#reports.silentMs(this.#cluster, node, signal)) >= this.#silentMs;
  }
}

function whyLeft(reserved: Reserved, node: Node | undefined): string | undefined {
  const { node: name } = reserved;
  if (!node) return `node ${name} does not exist`;
  if (nodeState(node) === "gone") return `node ${name} is out of service`;
  const { creationTimestamp } = node.metadata;
  return isOlder(reserved, bornMsOf(creationTimestamp))
    ? `node ${name} was created again at ${creationTimestamp}`
    : undefined;
}

const isOlder = ({ createdMs }: Reserved, bornMs: number | undefined): boolean =>
  createdMs !== undefined && bornMs !== undefined && createdMs + SKEW_MS < bornMs;

export const bornMsOf = (timestamp: string | undefined): number | undefined => {
  const ms = Date.parse(timestamp ?? "");
  return Number.isNaN(ms) ? undefined : ms;
};
