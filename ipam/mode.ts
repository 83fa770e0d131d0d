import { type Cluster, CONFIG_MAPS, type KubeObject } from "../kubernetes/cluster.ts";

/**
 * How addresses are claimed. `absent`: no Whereabouts runs, a reservation alone decides. `coexist`: a running Whereabouts
 * takes addresses too, so a record in the pool is part of every claim.
 */
export type Mode = "absent" | "coexist";

/** The cluster's settings, key `whereabouts`. In the namespace of the Whereabouts objects. */
export const CONFIG_MAP = "railnet-config";

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** Without a setting, the mode that is safe in both cases. */
export const modeOf = (settings: ConfigMap | undefined): Mode =>
  settings?.data?.["whereabouts"] === "absent" ? "absent" : "coexist";

export const readSettings = (cluster: Cluster, signal?: AbortSignal): Promise<ConfigMap | undefined> =>
  cluster.get<ConfigMap>(CONFIG_MAPS, CONFIG_MAP, { signal });

export const readMode = async (cluster: Cluster, signal?: AbortSignal): Promise<Mode> =>
  modeOf(await readSettings(cluster, signal));

/** On the settings: when a node noticed that reservations were lost, which node, and how. */
export const HEALING = "railnet.io/healing";

/** On the settings: UID of the reservations' definition to which all addresses belong. If it differs, all are lost. */
export const DEFINED = "railnet.io/definition";

/** For this long after a loss was noticed nobody claims, and every node restores what it holds. */
export const HEAL_MS = 60_000;

/** What the settings say about a loss that was noticed less than `healMs` ago, by clocks that may differ slightly. */
export function healingOf(settings: ConfigMap | undefined, nowMs: number, healMs = HEAL_MS): string | undefined {
  const text = settings?.metadata.annotations?.[HEALING] ?? "";
  return Math.abs(nowMs - Date.parse(text.split(" ")[0] ?? "")) < healMs ? text : undefined;
}
