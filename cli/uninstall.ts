import { join } from "node:path";
import type { Argv } from "yargs";
import { readBootId } from "../cni/boot-id.ts";
import { PATHS } from "../cni/host.ts";
import { pathsFrom } from "../cni/node-host.ts";
import { obstacles } from "../daemonset/install/obstacles.ts";
import { lockInstaller } from "../daemonset/install/start.ts";
import { uninstall } from "../daemonset/install/uninstall.ts";
import { putBack } from "../daemonset/routes/put-back.ts";
import { Settings } from "../daemonset/routes/settings.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";

/** `railnet uninstall`: nothing else ever removes an executable from a node. */
export const registerUninstall = (y: Argv): Argv =>
  y.command(
    "uninstall",
    "remove from this node what install put there; refuses while pods need it",
    (y) =>
      y
        .option("root", { type: "string", default: "/", describe: "root directory of the node" })
        .option("force", {
          type: "boolean",
          default: false,
          describe: "also while pods have VFs: their deletion then fails, and VFs and addresses stay with them",
        })
        .example("kubectl -n kube-system delete daemonset railnet", "first: its agents would install again")
        .example("/opt/railnet/bin/railnet uninstall", "then on each node"),
    async ({ root, force }) => {
      const paths = { ...PATHS, ...pathsFrom(process.env) };
      using _lock = await lockInstaller(paths.runDir);
      const bootId = readBootId();
      const why = force ? [] : obstacles(paths, bootId);
      if (why.length > 0) throw new Error(`cannot uninstall: ${why.join("\n  ")}\nor give --force`);
      putBackRoutes(paths.stateDir, bootId);
      const removed = uninstall(root, paths);
      for (const path of removed) console.log(`removed  ${path}`);
      if (removed.length === 0) console.log("nothing to do: Railnet is not installed");
    },
  );

/** Done before the executables that could do it are gone. */
function putBackRoutes(stateDir: string, bootId: string): void {
  const settings = new Settings(join(stateDir, "routes"), bootId);
  if (!settings.areChanged) return;
  using rtnl = new NetlinkSocket();
  putBack({ rtnl, settings });
  console.log("put back  routes over rails, and the settings of this node that they needed");
}
