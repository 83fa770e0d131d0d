import { type Cluster, IP_POOLS } from "../../kubernetes/cluster.ts";
import { ADOPTED, type IpPool } from "../../whereabouts/objects.ts";
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
  async ensure({ name, cidr }: Pool, isAdopted: boolean, signal?: AbortSignal): Promise<IpPool> {
    for (;;) {
      const found = await this.get(name, signal);
      if (found) return found;
      try {
        return await this.#cluster.create<IpPool>(IP_POOLS, toIpPool(name, cidr, isAdopted), { signal });
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
    }
  }

  async isAdopted(name: string, signal?: AbortSignal): Promise<boolean> {
    const found = await this.#cluster.get(IP_POOLS, name, { signal, metadataOnly: true });
    return found?.metadata.annotations?.[ADOPTED] !== undefined;
  }
}

const toIpPool = (name: string, range: string, isAdopted: boolean): IpPool => ({
  apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
  kind: "IPPool",
  metadata: { name, ...(isAdopted && { annotations: { [ADOPTED]: "true" } }) },
  spec: { range, allocations: {} },
});
