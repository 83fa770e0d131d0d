import type { PluginDevice } from "./api.ts";
import type { Sight } from "./sight.ts";

/** Since when devices have had a problem, by their IDs, in terms of `performance.now()`. */
export type Since = ReadonlyMap<string, number>;

/** The device list of a resource, and what to remember until the next look. */
export interface VfHealth {
  readonly devices: readonly PluginDevice[];
  readonly since: Since;
  /** Why devices are unhealthy, and how many for each reason. */
  readonly reasons: Readonly<Record<string, number>>;
}

/**
 * Which devices are healthy. A problem counts after `graceMs`, since links go down for moments and come up late after a
 * boot, and the kubelet refuses pods, even those that it had before a reboot, if their VF is unhealthy just then. A device
 * that is gone, or was never usable, is unhealthy at once; one that is well again is healthy at once. Pure.
 */
export function judge(sights: readonly Sight[], before: Since, nowMs: number, graceMs: number): VfHealth {
  const since = new Map(sights.flatMap(({ id, problem }) => (problem ? [[id, before.get(id) ?? nowMs] as const] : [])));
  const reasons: Record<string, number> = {};
  const devices = sights.map(({ id, numaNode, gone, unready, problem }) => {
    const isSick = problem !== undefined && (gone || unready || nowMs - since.get(id)! >= graceMs);
    if (isSick) reasons[problem] = (reasons[problem] ?? 0) + 1;
    const topology = numaNode === undefined ? undefined : { nodes: [{ ID: numaNode }] };
    return { ID: id, health: isSick ? "Unhealthy" : "Healthy", topology };
  });
  return { devices, since, reasons };
}
