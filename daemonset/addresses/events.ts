import { randomBytes } from "node:crypto";
import type { Log } from "../../cni/host.ts";
import {
  type Cluster,
  CONFIG_MAPS,
  EVENTS,
  IP_POOLS,
  type KubeObject,
  type Resource,
} from "../../ipam/kubernetes/cluster.ts";

/** `events`, v1: what an operator sees with `kubectl describe`. */
interface KubeEvent extends KubeObject {
  readonly involvedObject: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
  };
  readonly reason: string;
  readonly message: string;
  readonly type: "Normal" | "Warning";
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly count: number;
  readonly source: { readonly component: string; readonly host: string };
}

/** Beyond it events are dropped until the next minute: what frees a thousand addresses must not write a thousand objects. */
const MAX_PER_MINUTE = 20;

/** Events about pools and about the cluster's settings. Best effort: the log has everything. */
export class Events {
  readonly #cluster: Cluster;
  readonly #node: string;
  readonly #log: Log;
  #minute = 0;
  #sent = 0;

  constructor(cluster: Cluster, node: string, log: Log) {
    this.#cluster = cluster;
    this.#node = node;
    this.#log = log;
  }

  onPool(type: KubeEvent["type"], pool: string, reason: string, message: string): void {
    if (pool) void this.#send(IP_POOLS, type, pool, reason, message);
  }

  onSettings(type: KubeEvent["type"], configMap: string, reason: string, message: string): void {
    void this.#send(CONFIG_MAPS, type, configMap, reason, message);
  }

  async #send(
    { group, version, kind }: Resource,
    type: KubeEvent["type"],
    name: string,
    reason: string,
    message: string,
  ) {
    if (!this.#mayGo()) return;
    const { namespace } = this.#cluster;
    const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const event: KubeEvent = {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name}.${randomBytes(8).toString("hex")}`, namespace },
      involvedObject: { apiVersion: group ? `${group}/${version}` : version, kind, namespace, name },
      reason,
      message,
      type,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      source: { component: "railnet", host: this.#node },
    };
    await this.#cluster.create(EVENTS, event).catch((err) => this.#log.debug({ err, reason }, "event was not written"));
  }

  #mayGo(): boolean {
    const minute = Math.floor(performance.now() / 60_000);
    if (minute !== this.#minute) [this.#minute, this.#sent] = [minute, 0];
    return this.#sent++ < MAX_PER_MINUTE;
  }
}
