import type { Pool } from "../../../ipam/store/store.ts";
import { reservationName } from "../../../ipam/whereabouts/names.ts";
import { type IpPool, ownerOfRecord, type PoolRecord, RECORDS_DECIDE } from "../../../ipam/whereabouts/objects.ts";
import { IP_POOLS, type KubeObject } from "../../../kubernetes/cluster.ts";
import type { ClusterAddresses } from "../context.ts";
import { isPodref, readPod } from "../evidence.ts";
import { inParallel } from "../parallel.ts";
import { type GcFinding, planGc, type Suspicions } from "../plan-gc.ts";
import { locationOf } from "../record-location.ts";
import type { Reserved } from "../reserved.ts";
import type { NodeState } from "./nodes.ts";
import { StaticPods } from "./static-pods.ts";

/** How many pods one look reads. */
const MAX_ASKED = 1_000;

/**
 * Frees records of pools where they decide (`enable_overlapping_ranges: false`) and that no node's journal may know: its
 * disk was replaced. A record names neither node nor sandbox, so only a missing pod is evidence, if no kubelet may have it
 * from a file.
 */
export class LeaderRecords {
  readonly #context: Pick<ClusterAddresses, "cluster" | "store" | "told">;
  readonly #graceMs: number;
  readonly #statics: StaticPods;
  #suspicions: Suspicions = new Map();

  /** @param stateOf what is remembered of a node. */
  constructor(
    context: Pick<ClusterAddresses, "cluster" | "store" | "told">,
    stateOf: (node: string) => NodeState,
    graceMs: number,
  ) {
    this.#context = context;
    this.#graceMs = graceMs;
    this.#statics = new StaticPods(context.cluster, stateOf, graceMs);
  }

  /**
   * @param pools of the cluster, their metadata.
   * @throws {ApiError | StoreError}
   */
  async look(pools: Iterable<KubeObject>, signal: AbortSignal): Promise<void> {
    const missing: GcFinding[] = [];
    const found = new Map<string, { readonly pool: Pool; readonly ip: string; readonly record: PoolRecord }>();
    for (const { metadata } of pools) {
      if (metadata.annotations?.[RECORDS_DECIDE] === undefined) continue;
      for (const one of await this.#records(metadata.name, signal)) {
        const reserved = toReserved(one, metadata);
        found.set(reserved.metadata.name, one);
        if (found.size <= MAX_ASKED && !(await readPod(this.#context.cluster, one.record.podref, signal)))
          missing.push({ reserved, evidence: "its pod does not exist" });
      }
    }
    const mayRun = missing.length > 0 ? await this.#statics.look(signal) : () => false;
    const findings = missing.filter(({ reserved }) => !mayRun(reserved.podref));
    const time = { nowMs: performance.now(), graceMs: this.#graceMs };
    const { suspicions, due } = planGc(this.#suspicions, findings, time);
    this.#suspicions = suspicions;
    await inParallel(due, async (one) => {
      const { pool, ip, record } = found.get(one.reserved.metadata.name)!;
      const outcome = await this.#context.store.release({ pool, ip, owner: ownerOfRecord(record) }, signal);
      if (outcome === "released") this.#context.told.freed(one);
    });
  }

  async #records(name: string, signal: AbortSignal) {
    const pool = await this.#context.cluster.get<IpPool>(IP_POOLS, name, { signal });
    const location = pool && locationOf(pool, []);
    return Object.entries((location && pool?.spec.allocations) ?? {}).flatMap(([key, record]) => {
      const ip = location!.ipOf(key);
      return ip && record.podref && isPodref(record.podref)
        ? [{ pool: { ...location!.pool, overlapping: false }, ip, record }]
        : [];
    });
  }
}

/** What planGc() and the log need of a record; with another sandbox it is another record. */
function toReserved(
  { pool, ip, record }: { readonly pool: Pool; readonly ip: string; readonly record: PoolRecord },
  { namespace = "" }: KubeObject["metadata"],
): Reserved {
  const { podref, ifname = "", id } = record;
  const name = `${pool.name} ${reservationName(pool.network, ip)}`;
  const metadata = { name, namespace, uid: id, resourceVersion: `${podref} ${ifname}` };
  return { metadata, podref, ifname, containerId: id, podUid: "", node: "", pool: pool.name, network: pool.network };
}
