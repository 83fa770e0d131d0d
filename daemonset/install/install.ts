import type { Log } from "../../cni/host.ts";
import { type Changes, placeExecutables } from "./executables.ts";
import { writeNodeConfig } from "./node-config.ts";
import { type Alias, installPathsBelow } from "./paths.ts";
import type { StepHook } from "./place.ts";

export interface InstallOptions {
  /** The node's root directory, in the agent's container too: directories that are written to are mounted in their own places. */
  readonly root: string;
  /** Directory with `railnet` and `railnet-shim`. */
  readonly from: string;
  readonly aliases: readonly Alias[];
  /** Name of the node in its cluster; absent on a single host. */
  readonly node?: string;
  readonly step?: StepHook;
}

/**
 * Puts executables and node.json on the node. Idempotent; after a kill at any instant the next run completes the rest.
 * The caller holds the installer's lock. The shims come last: one that ran before node.json exists would keep addresses in
 * a directory on this node that belong in the cluster.
 */
export function install({ root, from, aliases, node, step = () => {} }: InstallOptions, log: Log): Changes {
  const paths = installPathsBelow(root);
  const config = writeNodeConfig({ ...(node !== undefined && { node }), aliases }, paths, step);
  if (config === "kept") log.info({ path: paths.nodeConfig }, "node.json is the administrator's: left as it is");
  if (config === "written") log.info({ path: paths.nodeConfig }, "node.json written");
  const changes = placeExecutables(from, paths, aliases, step);
  if (changes.placed.length + changes.removed.length > 0) log.info(changes, "executables installed");
  return changes;
}
