import { CONFIG_MAPS, IP_POOLS } from "../../kubernetes/cluster.ts";
import type { EventRequest } from "../../kubernetes/events/kube-event.ts";
import type { EventRecorder } from "../../kubernetes/events/recorder.ts";
import { RAIL_NETWORKS } from "../rail-network/object.ts";

/** Events about pools, RailNetworks and the cluster's settings. Best effort: the log has everything. */
export class Events {
  readonly #recorder: Pick<EventRecorder, "record">;
  readonly #namespace: string;

  /** @param namespace of the Whereabouts objects. */
  constructor(recorder: Pick<EventRecorder, "record">, namespace: string) {
    this.#recorder = recorder;
    this.#namespace = namespace;
  }

  onPool(type: EventRequest["type"], pool: string, reason: string, message: string): void {
    const about = { resource: IP_POOLS, namespace: this.#namespace, name: pool };
    if (pool) this.#recorder.record({ about, type, reason, message });
  }

  onSettings(type: EventRequest["type"], configMap: string, reason: string, message: string): void {
    const about = { resource: CONFIG_MAPS, namespace: this.#namespace, name: configMap };
    this.#recorder.record({ about, type, reason, message });
  }

  onRailNetwork(type: EventRequest["type"], name: string, reason: string, message: string): void {
    this.#recorder.record({ about: { resource: RAIL_NETWORKS, namespace: "", name }, type, reason, message });
  }
}
