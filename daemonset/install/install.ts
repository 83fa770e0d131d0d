import type { Log } from "../../cni/host.ts";
import { type Changes, placeExecutables } from "./executables.ts";
import { writeNodeConfig } from "./node-config.ts";
import { type Alias, installPathsBelow } from "./paths.ts";
import type { StepHook } from "./place.ts";

export interface InstallOptions {
  /** The node's root directory, in the agent's container too: what is written to is mounted at its own place. */
  readonly root: string;
  /** Directory with `railnet` and `railnet-shim`. */
  readonly from: string;
  readonly aliases: readonly Alias[];
  /** Name of the node in its cluster; absent on a single host. */
  readonly node?: string;
  readonly step?: StepHook;
}

/**
 * Puts executables and node.json on the node. Idempotent, and a kill at any instant leaves what the next run completes.
 * Whoever calls holds the installer's lock. The shims come last: one that ran before node.json is there would keep
 * addresses in a directory of this node that belong into the cluster.
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
