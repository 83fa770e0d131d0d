import { readIfThere } from "../../records/durable.ts";
import { type InstallPaths, KUBECONFIG } from "./paths.ts";
import { placeText, type StepHook } from "./place.ts";

/** With this key a file says that the installer may change and remove it. */
const OWNER = { managedBy: "railnet install" };

/** What the installer decides; everything else is the administrator's. */
export interface NodeSettings {
  /** Name of the node in its cluster; absent on a single host, where addresses are stored in a directory. */
  readonly node?: string;
  readonly aliases: readonly string[];
}

/**
 * Writes node.json unless an administrator has written one.
 *
 * @returns `kept` for a file that is not ours.
 */
export function writeNodeConfig(
  settings: NodeSettings,
  paths: InstallPaths,
  step: StepHook,
): "written" | "unchanged" | "kept" {
  const there = readIfThere(paths.nodeConfig);
  if (there !== undefined && !isOurs(there)) return "kept";
  const { node, aliases } = settings;
  const config = {
    ...OWNER,
    ...(node !== undefined && { node, kubeconfig: KUBECONFIG }),
    ...(aliases.includes("whereabouts") && { aliases: ["whereabouts"] }),
  };
  const text = `${JSON.stringify(config, null, 2)}\n`;
  return placeText(text, paths.nodeConfig, 0o644, step) ? "written" : "unchanged";
}

export function isOurs(text: string): boolean {
  try {
    return JSON.parse(text)?.managedBy === OWNER.managedBy;
  } catch {
    return false; // the administrator is editing it
  }
}
