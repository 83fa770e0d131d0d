// Installs on a node, or takes off it, what argv[2] says, as JSON: a Deed.
import { install } from "../../daemonset/install/install.ts";
import type { Alias } from "../../daemonset/install/paths.ts";
import { placeText } from "../../daemonset/install/place.ts";
import { uninstall } from "../../daemonset/install/uninstall.ts";

export interface Deed {
  readonly verb: "install" | "uninstall";
  readonly root: string;
  /** Of `install`. */
  readonly from: string;
  readonly aliases: readonly Alias[];
  /** What renewing the token writes. */
  readonly kubeconfig?: string;
}

/** In the order of the agent's start. */
export function perform({ verb, root, from, aliases, kubeconfig }: Deed): void {
  const silent = { info() {}, warn() {}, error() {} };
  if (verb === "uninstall")
    uninstall(root, { stateDir: `${root}/var/lib/railnet`, runDir: `${root}/run/railnet` } as never);
  else install({ root, from, aliases, node: "node-a" }, silent as never);
  if (kubeconfig !== undefined) placeText(kubeconfig, `${root}/etc/railnet/kubeconfig`, 0o600);
}

if (process.argv[1] === import.meta.filename) {
  perform(JSON.parse(process.argv[2]!));
  console.log("done");
}
