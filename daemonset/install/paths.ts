import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** Where files go on a node, below its root directory. */
export interface InstallPaths {
  /** Runtimes and Multus look for plugins here. */
  readonly plugins: string;
  /** The full executable; the shim looks for it here and nowhere else. */
  readonly executables: string;
  /** Other programs' executables whose names ours took. */
  readonly replaced: string;
  readonly nodeConfig: string;
  readonly kubeconfig: string;
}

export const installPathsBelow = (root: string): InstallPaths => ({
  plugins: join(root, "opt/cni/bin"),
  executables: join(root, "opt/railnet/bin"),
  replaced: join(root, "opt/railnet/replaced"),
  nodeConfig: join(root, "etc/railnet/node.json"),
  kubeconfig: join(root, "etc/railnet/kubeconfig"),
});

/** As written in node.json, whatever root it is written below. */
export const KUBECONFIG = "/etc/railnet/kubeconfig";

/** Names under which every node has the shim. */
export const PLUGINS = ["railnet-sriov", "railnet-ipam"] as const;

/** Names of other plugins that the shim can stand in for. */
export const ALIASES = ["sriov", "rdma", "whereabouts"] as const;
export type Alias = (typeof ALIASES)[number];

/** A text that is in each version of the shim, and nowhere else: limits.h, host-exec.c. */
const MARK = "railnet-host-exec";
const SHIM_LIMIT_BYTES = 4 << 20;

/** Whether a file is a shim of ours, of whatever version. */
export function isShim(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  return size !== undefined && size < SHIM_LIMIT_BYTES && readFileSync(path).includes(MARK);
}
