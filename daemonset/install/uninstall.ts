import { rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Paths } from "../../cni/host.ts";
import { readIfThere } from "../../records/durable.ts";
import { removeExecutables, removeIfEmpty } from "./executables.ts";
import { isOurs } from "./node-config.ts";
import { installPathsBelow } from "./paths.ts";

/**
 * Removes from the node what install put there. The journal stays while there is anything in it.
 *
 * @returns the paths that are gone or have been given back.
 */
export function uninstall(root: string, { stateDir, runDir }: Paths): string[] {
  const paths = installPathsBelow(root);
  const removed = [...removeExecutables(paths).removed];
  const settings = readIfThere(paths.nodeConfig);
  for (const [path, isWanted] of [
    [paths.nodeConfig, settings !== undefined && isOurs(settings)],
    [paths.kubeconfig, readIfThere(paths.kubeconfig) !== undefined],
  ] as const) {
    if (!isWanted) continue;
    rmSync(path);
    removed.push(path);
  }
  rmSync(`${runDir}/agent.sock`, { force: true });
  rmSync(`${stateDir}/vfs`, { recursive: true, force: true }); // notes of free VFs: written again when needed
  rmSync(`${stateDir}/standing`, { recursive: true, force: true });
  rmSync(`${stateDir}/rail-peers.json`, { force: true });
  for (const dir of ["routes", "attachments", "owed", "ipam", "torn", "addresses"]) removeIfEmpty(`${stateDir}/${dir}`);
  for (const dir of [stateDir, dirname(paths.nodeConfig)]) removeIfEmpty(dir);
  return removed;
}
