import { hostname } from "node:os";
import { dirname } from "node:path";
import type { Argv } from "yargs";
import { faultsFrom } from "../cni/faults.ts";
import { PATHS } from "../cni/host.ts";
import { pathsFrom } from "../cni/node-host.ts";
import { type InstallOptions, install } from "../daemonset/install/install.ts";
import { ALIASES, installPathsBelow } from "../daemonset/install/paths.ts";
import { lockInstaller } from "../daemonset/install/start.ts";
import { createLog } from "../daemonset/log.ts";

/** Options common to this command and the DaemonSet's agent. */
export const installOptions = <T>(y: Argv<T>) =>
  y
    .option("root", { type: "string", default: "/", describe: "root directory of the node, or of an image of one" })
    .option("from", {
      type: "string",
      default: dirname(process.execPath),
      defaultDescription: "where this executable is",
      describe: "folder with railnet and railnet-shim",
    })
    .option("alias", {
      type: "string",
      array: true,
      choices: ALIASES,
      default: [] as (typeof ALIASES)[number][],
      describe: "stand in for these plugins too; uninstall restores them",
    });

/** `railnet install`, which the DaemonSet's agent does automatically. */
export const registerInstall = (y: Argv): Argv =>
  y.command(
    "install",
    "put the executables, node.json and a kubeconfig on this node; again: only what differs",
    (y) =>
      installOptions(y)
        .option("kubeconfig", {
          type: "string",
          describe: "get the node's own kubeconfig by this one; without it addresses are kept on this host",
        })
        .option("node", {
          type: "string",
          defaultDescription: "NODENAME, else the host's name",
          describe: "name of this node in the cluster",
        })
        .example("$0 install", "on a single host, from the folder of a build")
        .example("$0 install --kubeconfig /etc/kubernetes/admin.conf", "a node of a cluster, by hand")
        .example("$0 install --root /mnt", "into a machine image; its agent then gets the kubeconfig")
        .example("$0 install --alias sriov rdma", "also in place of sriov-cni and rdma-cni"),
    async ({ root, from, alias: aliases, kubeconfig, node = process.env["NODENAME"] || hostname() }) => {
      const { step } = faultsFrom(process.env);
      const options = { root, from, aliases, ...(kubeconfig && { node }), ...(step && { step }) };
      await installByHand(options, kubeconfig);
    },
  );

async function installByHand(options: InstallOptions, by: string | undefined): Promise<void> {
  const { kubeconfig } = installPathsBelow(options.root);
  const { runDir } = { ...PATHS, ...pathsFrom(process.env) };
  using _lock = await lockInstaller(runDir);
  const { placed, removed } = install(options, createLog("silent"));
  if (by && options.node) {
    const { renewKubeconfig } = await import("../daemonset/install/kubeconfig.ts");
    if (await renewKubeconfig({ path: kubeconfig, node: options.node, by })) placed.push(kubeconfig);
  }
  for (const path of placed) console.log(`installed  ${path}`);
  for (const path of removed) console.log(`given back ${path}`);
  if (placed.length + removed.length === 0) console.log("nothing to do: this version is installed");
}
