import { type Cluster, CONFIG_MAPS, type KubeObject } from "./cluster.ts";

/**
 * How addresses are claimed. `absent`: no Whereabouts runs, a reservation alone decides. `coexist`: a live Whereabouts
 * takes addresses too, so a record in the pool is part of every claim.
 */
export type Mode = "absent" | "coexist";

/** The cluster's settings, key `whereabouts`. In the namespace of the Whereabouts objects. */
export const CONFIG_MAP = "railnet-config";

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** Whoever says nothing gets the mode that is right in both cases. */
export const modeOf = (settings: ConfigMap | undefined): Mode =>
  settings?.data?.["whereabouts"] === "absent" ? "absent" : "coexist";

export const readMode = async (cluster: Cluster, signal?: AbortSignal): Promise<Mode> =>
  modeOf(await cluster.get<ConfigMap>(CONFIG_MAPS, CONFIG_MAP, { signal }));
