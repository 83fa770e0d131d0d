import { CONFIG_MAP, type ConfigMap, type Mode } from "../../../ipam/mode.ts";
import { ApiError, type Cluster, CONFIG_MAPS } from "../../../kubernetes/cluster.ts";

/** Tells all agents, which follow this setting. Idempotent. @throws {ApiError} */
export async function switchTo(mode: Mode, cluster: Cluster): Promise<void> {
  const data = { whereabouts: mode };
  try {
    await cluster.mergePatch<ConfigMap>(CONFIG_MAPS, CONFIG_MAP, { data });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    const metadata = { name: CONFIG_MAP };
    await cluster.create<ConfigMap>(CONFIG_MAPS, { apiVersion: "v1", kind: "ConfigMap", metadata, data });
  }
}
