import { type Cluster, IP_POOLS } from "../../kubernetes/cluster.ts";
import { ADOPTED, type IpPool, RECORDS_DECIDE } from "../../whereabouts/objects.ts";
import type { Pool } from "../store.ts";
import { isTaken } from "./failure.ts";

/** The IPPool objects. @throws {ApiError} from every method. */
export class Pools {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get(name: string, signal?: AbortSignal): Promise<IpPool | undefined> {
    return this.#cluster.get<IpPool>(IP_POOLS, name, { signal });
  }

  /** The object of a pool, made when there is none. @param isAdopted a new pool is empty, so there is nothing to adopt. */
  async ensure(pool: Pool, isAdopted: boolean, signal?: AbortSignal): Promise<IpPool> {
    for (;;) {
      const found = await this.get(pool.name, signal);
      if (found && !pool.overlapping) await this.#letRecordsDecide(found, signal);
      if (found) return found;
      try {
        return await this.#cluster.create<IpPool>(IP_POOLS, toIpPool(pool, isAdopted), { signal });
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
    }
  }

  /** Once in a pool's life: the leader keeps its hands off it from now on. */
  async #letRecordsDecide({ metadata: { name, annotations } }: IpPool, signal?: AbortSignal): Promise<void> {
    if (annotations?.[RECORDS_DECIDE]) return;
    const patch = { metadata: { annotations: { [RECORDS_DECIDE]: "true", [ADOPTED]: null } } };
    await this.#cluster.mergePatch(IP_POOLS, name, patch, { signal, metadataOnly: true });
  }

  async isAdopted(name: string, signal?: AbortSignal): Promise<boolean> {
    const found = await this.#cluster.get(IP_POOLS, name, { signal, metadataOnly: true });
    return found?.metadata.annotations?.[ADOPTED] !== undefined;
  }
}

function toIpPool({ name, cidr, overlapping }: Pool, isAdopted: boolean): IpPool {
  const annotations = { ...(isAdopted && { [ADOPTED]: "true" }), ...(!overlapping && { [RECORDS_DECIDE]: "true" }) };
  return {
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: { name, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: { range: cidr, allocations: {} },
  };
}
