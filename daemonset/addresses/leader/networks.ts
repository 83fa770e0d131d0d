import { isDeepStrictEqual } from "node:util";
import { networkText, parseCidr } from "../../../ipam/address.ts";
import { poolName } from "../../../ipam/whereabouts/names.ts";
import { ApiError } from "../../../kubernetes/cluster.ts";
import { type ChangeType, Informer } from "../../../kubernetes/informer.ts";
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
import type { Reserved } from "../reserved.ts";
import { LeaderNads } from "./nads.ts";

/**
 * Reports the status of each RailNetwork. All agents follow these objects: counts of VFs in pods, which change all the
 * time, are written rarely; whether nodes are ready at each look.
 */
export class LeaderNetworks {
  readonly #context: Pick<Context, "cluster" | "log" | "events">;
  readonly #countsMs: number;
  readonly #reserved: () => Iterable<Pick<Reserved, "pool">>;
  readonly #nads: LeaderNads;
  #networks: Informer<RailNetwork> | undefined;
  /** When counts were written last, by name. */
  readonly #wroteMs = new Map<string, number>();

  /**
   * @param countsMs minimum time between two writes that only update counts.
   * @param reserved everything that is reserved.
   */
  constructor(
    context: Pick<Context, "cluster" | "log" | "events">,
    countsMs: number,
    reserved: () => Iterable<Pick<Reserved, "pool">>,
  ) {
    this.#reserved = reserved;
    this.#context = context;
    this.#nads = new LeaderNads(context);
    this.#countsMs = countsMs;
  }

  /** Follows them until `signal`. Never rejects. */
  async follow(signal: AbortSignal): Promise<void> {
    const { cluster, log } = this.#context;
    if (!(await untilServed(this.#context, signal))) return;
    const onError = (err: Error) => log.debug({ err }, "watch of RailNetworks failed; retrying");
    const onChange = (change: ChangeType, network: RailNetwork) => {
      this.#nads.wake();
      if (change === "DELETED") this.#tellDeleted(network);
    };
    const networks = Informer.start<RailNetwork>(cluster, RAIL_NETWORKS, { signal, onError, onChange });
    this.#networks = networks;
    if (await beforeAbort(networks.synced, signal)) await this.#nads.run(networks.objects, signal);
  }

  /** Does nothing without a RailNetwork; else a list of the nodes' reports, and a patch for each that differs. @throws {ApiError} */
  async look(signal: AbortSignal): Promise<void> {
    const { cluster } = this.#context;
    const networks = [...(this.#networks?.objects.values() ?? [])];
    if (networks.length === 0) return;
    const nodes = await this.#reports(signal);
    const reservedIn = countByPool(this.#reserved());
    for (const network of networks) {
      const { name } = network.metadata;
      const status = statusOf(network, nodes, Date.now(), { more: this.#nads.verdictsOn(name), reservedIn });
      if (!this.#isWorthIt(name, network.status, status)) continue;
      await cluster.mergePatch(RAIL_NETWORK_STATUS, name, { status }, { signal }).catch(ignoreGone);
      this.#wroteMs.set(name, performance.now());
    }
  }

  /** Running pods are not affected, but that is no reason not to report it. */
  #tellDeleted({ metadata: { name }, status }: RailNetwork): void {
    const used = (status?.rails ?? []).filter(({ users }) => users !== undefined);
    const message = used.map((rail) => `${rail.name}: ${rail.used} VFs on ${rail.users}`).join("; ");
    if (!message) return;
    this.#context.log.warn(
      { network: name, used: message },
      `a RailNetwork was deleted while pods use its rails: ${KEPT}`,
    );
    this.#context.events.onRailNetwork("Warning", name, "DeletedInUse", `${message}: ${KEPT}`);
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

const KEPT = "these pods keep them, and VFs stay; no other pod gets one";

/** By the pool of a subnet: that of a network without its own name. */
function countByPool(reserved: Iterable<Pick<Reserved, "pool">>): (subnet: string) => number {
  const counts = new Map<string, number>();
  for (const { pool } of reserved) counts.set(pool, (counts.get(pool) ?? 0) + 1);
  return (subnet) => {
    const cidr = parseCidr(subnet);
    return cidr ? (counts.get(poolName("", "", networkText(cidr))) ?? 0) : 0;
  };
}

const withoutUse = (status: RailNetworkStatus | undefined) =>
  status && {
    nodes: status.summary?.nodes,
    rails: status.rails?.map(({ used, users: _, addressesUsed: __, addressesLeft: ___, ...rail }) => ({ ...rail, isUsed: used > 0 })), // biome-ignore format: one row
    conditions: status.conditions,
  };

function ignoreGone(error: unknown): void {
  if (!(error instanceof ApiError && error.status === 404)) throw error;
}
