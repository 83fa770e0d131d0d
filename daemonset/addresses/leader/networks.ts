import { isDeepStrictEqual } from "node:util";
import { ApiError } from "../../../kubernetes/cluster.ts";
import { Informer } from "../../../kubernetes/informer.ts";
import { beforeAbort } from "../../loop.ts";
import { untilServed } from "../../rail-network/follower.ts";
import {
  RAIL_NETWORK_STATUS,
  RAIL_NETWORKS,
  type RailNetwork,
  type RailNetworkStatus,
} from "../../rail-network/object.ts";
import { statusOf } from "../../rail-network/status.ts";
import { RAIL_NODES, type RailNode } from "../../rail-node/object.ts";
import type { Context } from "../context.ts";
import { LeaderNads } from "./nads.ts";

/**
 * Says of each RailNetwork what became of it. All agents follow these objects: counts of VFs that pods have, which change all
 * the time, are written seldom; whether nodes are ready at each look.
 */
export class LeaderNetworks {
  readonly #context: Pick<Context, "cluster" | "log" | "events">;
  readonly #countsMs: number;
  readonly #nads: LeaderNads;
  #networks: Informer<RailNetwork> | undefined;
  /** When counts were written last, by name. */
  readonly #wroteMs = new Map<string, number>();

  /** @param countsMs two writes for the sake of counts alone are so far apart. */
  constructor(context: Pick<Context, "cluster" | "log" | "events">, countsMs: number) {
    this.#context = context;
    this.#nads = new LeaderNads(context);
    this.#countsMs = countsMs;
  }

  /** Follows them until `signal`. Never rejects. */
  async follow(signal: AbortSignal): Promise<void> {
    const { cluster, log } = this.#context;
    if (!(await untilServed(this.#context, signal))) return;
    const onError = (err: Error) => log.debug({ err }, "cannot follow RailNetworks; it is tried again");
    const onChange = () => this.#nads.wake();
    const networks = Informer.start<RailNetwork>(cluster, RAIL_NETWORKS, { signal, onError, onChange });
    this.#networks = networks;
    if (await beforeAbort(networks.synced, signal)) await this.#nads.run(networks.objects, signal);
  }

  /** Nothing where there is no RailNetwork, else a list of the nodes' reports, and a patch for each that differs. @throws {ApiError} */
  async look(signal: AbortSignal): Promise<void> {
    const { cluster } = this.#context;
    const networks = [...(this.#networks?.objects.values() ?? [])];
    if (networks.length === 0) return;
    const nodes = await this.#reports(signal);
    for (const network of networks) {
      const { name } = network.metadata;
      const status = statusOf(network, nodes, Date.now(), this.#nads.verdictsOn(name));
      if (!this.#isWorthIt(name, network.status, status)) continue;
      await cluster.mergePatch(RAIL_NETWORK_STATUS, name, { status }, { signal }).catch(ignoreGone);
      this.#wroteMs.set(name, performance.now());
    }
  }

  #isWorthIt(name: string, before: RailNetworkStatus | undefined, after: RailNetworkStatus): boolean {
    if (isDeepStrictEqual(before, after)) return false;
    const sinceMs = performance.now() - (this.#wroteMs.get(name) ?? Number.NEGATIVE_INFINITY);
    return sinceMs >= this.#countsMs || !isDeepStrictEqual(withoutUse(before), withoutUse(after));
  }

  async #reports(signal: AbortSignal): Promise<readonly RailNode[]> {
    try {
      return (await this.#context.cluster.list<RailNode>(RAIL_NODES, { fromCache: true, signal })).items;
    } catch (error) {
      if (error instanceof ApiError && [403, 404].includes(error.status)) return []; // each agent has said so
      throw error;
    }
  }
}

const withoutUse = (status: RailNetworkStatus | undefined) =>
  status && {
    nodes: status.summary?.nodes,
    rails: status.rails?.map(({ used: _, ...rail }) => rail),
    conditions: status.conditions,
  };

function ignoreGone(error: unknown): void {
  if (!(error instanceof ApiError && error.status === 404)) throw error;
}
