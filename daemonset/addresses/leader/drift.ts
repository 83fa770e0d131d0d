import { setTimeout as sleep } from "node:timers/promises";
import { ApiError } from "../../../kubernetes/cluster.ts";
import { RAIL_NETWORKS, type RailNetwork } from "../../rail-network/object.ts";
import { toCondition } from "../../rail-node/conditions.ts";
import { compare, type Odd } from "../../rail-node/drift.ts";
import { ofNode } from "../../rail-node/drift-words.ts";
import { expectedBy } from "../../rail-node/expected.ts";
import { CONDITION, RAIL_NODES, type RailNode } from "../../rail-node/object.ts";
import type { Context } from "../context.ts";

/** Pause between two writes: a kernel update of half the nodes must not become a storm. */
const PAUSE_MS = 100;
const MESSAGE_MAX = 1000;

/** Compares the nodes of the cluster: reports at each RailNode how it differs from the others. */
export class LeaderDrift {
  readonly #context: Pick<Context, "cluster" | "counters" | "log">;
  #said = "";

  constructor(context: Pick<Context, "cluster" | "counters" | "log">) {
    this.#context = context;
  }

  /** One list, and a patch for each node whose result has changed. @throws {ApiError} */
  async look(signal: AbortSignal): Promise<void> {
    const { cluster, counters } = this.#context;
    const nodes = await this.#list(signal);
    if (!nodes) return;
    const { nodes: compared, odd } = compare(nodes, new Set(), expectedBy(await this.#networksOf(nodes, signal)));
    counters.nodesCompared = compared.length;
    counters.nodesOdd = new Set(odd.flatMap((one) => one.nodes)).size;
    for (const node of nodes) {
      const before = node.status?.conditions?.[CONDITION.Drift];
      if (signal.aborted || before?.type !== "Drift") continue; // its agent must complete it first
      const what = compared.includes(node.metadata.name) ? ofNode(odd, node.metadata.name).slice(0, MESSAGE_MAX) : "";
      const verdict = what
        ? ({
            status: "True",
            reason: isExpectedOther(odd, node) ? "NotAsExpected" : "NotLikeOthers",
            message: what,
          } as const)
        : ({ status: "False", reason: "LikeOthers", message: "" } as const);
      const { status, reason, message } = before;
      if (status === verdict.status && reason === verdict.reason && message === verdict.message) continue;
      const path = `/status/conditions/${CONDITION.Drift}`;
      const value = toCondition("Drift", verdict, before, Date.now());
      await cluster
        .patch(
          RAIL_NODES,
          node.metadata.name,
          [
            { op: "test", path: `${path}/type`, value: "Drift" },
            { op: "replace", path, value },
          ],
          { signal },
        )
        .catch(ignoreChanged);
      await sleep(PAUSE_MS);
    }
  }

  /** What they pin; empty if no node follows one, and where they are not served, or not to this agent. */
  async #networksOf(nodes: readonly RailNode[], signal: AbortSignal): Promise<readonly RailNetwork[]> {
    if (!nodes.some(({ status }) => status !== undefined && status.networks.length > 0)) return [];
    try {
      return (await this.#context.cluster.list<RailNetwork>(RAIL_NETWORKS, { fromCache: true, signal })).items;
    } catch (err) {
      if (!(err instanceof ApiError && [403, 404].includes(err.status))) throw err;
      return [];
    }
  }

  /** Undefined where RailNodes are not served, or not to this agent. */
  async #list(signal: AbortSignal): Promise<readonly RailNode[] | undefined> {
    const { cluster, log } = this.#context;
    try {
      return (await cluster.list<RailNode>(RAIL_NODES, { fromCache: true, signal })).items;
    } catch (err) {
      if (!(err instanceof ApiError && [403, 404].includes(err.status))) throw err;
      if (this.#said !== err.message) log.info({ err }, "nodes are not compared: there are no RailNodes");
      this.#said = err.message;
      return undefined;
    }
  }
}

/** Whether it differs from what a RailNetwork pins. */
const isExpectedOther = (odd: readonly Odd[], { metadata: { name } }: RailNode): boolean =>
  odd.some(({ nodes, isExpected }) => isExpected === true && nodes.includes(name));

/** Deleted, or created again, since the list. */
function ignoreChanged(error: unknown): void {
  if (!(error instanceof ApiError && [404, 422].includes(error.status))) throw error;
}
