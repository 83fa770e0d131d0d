import { type Cluster, IP_POOLS, type KubeObject, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { type Mode, readMode } from "../../mode.ts";
import { poolName } from "../../whereabouts/names.ts";
import { ADOPTED, type IpPool, LABEL, labelValue, MIXED, RECORDS_DECIDE, toIpPool } from "../../whereabouts/objects.ts";
import { type Pool, StoreError } from "../store.ts";
import { isGone, isOutdated, isTaken } from "./failure.ts";
import { cidrOfPool, sharesAddresses } from "./pool-span.ts";

export interface PoolsOptions {
  mode(): Mode;
  /** Whether newly created pools may count as adopted at once, in mode `absent`. */
  readonly createsAdopted: boolean;
}

/** The IPPool objects. @throws {ApiError} from every method. */
export class Pools {
  readonly #cluster: Cluster;
  readonly #options: PoolsOptions;

  constructor(cluster: Cluster, options: PoolsOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  get(name: string, signal?: AbortSignal): Promise<IpPool | undefined> {
    return this.#cluster.get<IpPool>(IP_POOLS, name, { signal });
  }

  /**
   * The object of a pool, created if there is none. Whether reservations or records decide in it is settled once for all its
   * users: where the configuration says `enable_overlapping_ranges: false`, it is marked so, unless it is adopted.
   */
  async ensure(pool: Pool, signal?: AbortSignal): Promise<IpPool> {
    for (;;) {
      const found = await this.get(pool.name, signal);
      if (found && (pool.overlapping || isDecided(found, this.#options.mode()))) return found;
      try {
        if (found) await this.#letRecordsDecide(found, signal);
        else return await this.#create(pool, signal);
      } catch (error) {
        if (!isTaken(error) && !isOutdated(error) && !isGone(error)) throw error;
      }
    }
  }

  /** From now on the leader leaves it alone, unless it has adopted it at this moment: then the version has changed. */
  async #letRecordsDecide({ metadata }: IpPool, signal?: AbortSignal): Promise<void> {
    const { name, resourceVersion, annotations } = metadata;
    if (annotations?.[ADOPTED] !== undefined) await this.#requireCoexist(name, signal);
    const value = annotations?.[ADOPTED] === undefined ? "true" : MIXED;
    const patch = { metadata: { resourceVersion, annotations: { [RECORDS_DECIDE]: value, [ADOPTED]: null } } };
    await this.#cluster.mergePatch(IP_POOLS, name, patch, { signal, metadataOnly: true });
  }

  /** While the mode is unknown, `coexist` is assumed. A change to a pool that lasts for all users must not rest on that. */
  async #requireCoexist(name: string, signal?: AbortSignal): Promise<void> {
    if ((await readMode(this.#cluster, signal)) === "coexist") return;
    throw new StoreError(
      "unavailable",
      `cannot claim from pool ${name} now: whether Whereabouts runs in this cluster is not known here yet; try again`,
    );
  }

  async #create(pool: Pool, signal?: AbortSignal): Promise<IpPool> {
    const annotations = await this.#annotationsOf(pool, signal);
    return this.#cluster.create(IP_POOLS, toIpPool(pool.name, pool.cidr, { annotations }), { signal });
  }

  /** A new pool is empty, so there is nothing to adopt, provided that it is new, and that no records of others are in its range. */
  async #annotationsOf(pool: Pool, signal?: AbortSignal): Promise<Record<string, string> | undefined> {
    const adopted = { [ADOPTED]: "true" };
    const { createsAdopted, mode } = this.#options;
    if (!pool.overlapping) {
      if (!(await this.#isReserved(pool, signal))) return { [RECORDS_DECIDE]: "true" };
      return mode() === "absent" ? adopted : { [RECORDS_DECIDE]: MIXED };
    }
    if (!createsAdopted || mode() !== "absent") return undefined;
    return (await this.#isBesideRecords(pool, signal)) ? undefined : adopted;
  }

  /** Whether the pool was deleted while reservations still hold addresses of it. */
  async #isReserved({ name }: Pool, signal?: AbortSignal): Promise<boolean> {
    const labelSelector = `${LABEL.pool}=${labelValue(name)}`;
    const { items } = await this.#cluster.list(RESERVATIONS, { labelSelector, metadataOnly: true, signal });
    return items.length > 0;
  }

  /**
   * Whether another pool of the network shares addresses with it, whose records may not all have reservations yet. A node's
   * slice is not checked: thousands of nodes create theirs at the same time.
   */
  async #isBesideRecords(pool: Pool, signal?: AbortSignal): Promise<boolean> {
    if (pool.name !== poolName(pool.network, "", pool.cidr)) return false;
    const keep = ({ metadata: { name, annotations } }: KubeObject) => ({
      metadata: { name, ...(annotations && { annotations }) },
    });
    const { items } = await this.#cluster.list(IP_POOLS, { metadataOnly: true, fromCache: true, keep, signal });
    return items.some(({ metadata: { name, annotations } }) => {
      if (annotations?.[ADOPTED] || annotations?.[RECORDS_DECIDE]) return false;
      const other = cidrOfPool(pool.network, name);
      return other !== undefined && sharesAddresses(other, pool.cidr);
    });
  }

  async isAdopted(name: string, signal?: AbortSignal): Promise<boolean> {
    const found = await this.#cluster.get(IP_POOLS, name, { signal, metadataOnly: true });
    return found?.metadata.annotations?.[ADOPTED] !== undefined;
  }
}

/** In mode `absent` an adopted pool stays so; beside a running Whereabouts the record decides. */
const isDecided = ({ metadata: { annotations } }: IpPool, mode: Mode): boolean =>
  annotations?.[RECORDS_DECIDE] !== undefined || (annotations?.[ADOPTED] !== undefined && mode === "absent");
