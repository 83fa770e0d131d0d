import yargs from "yargs";
import { faultsFrom } from "../cni/faults.ts";
import { PATHS, type Paths } from "../cni/host.ts";
import { createHost, pathsFrom, traceFrom } from "../cni/node-host.ts";
import { type AgentOptions, runAgent } from "../daemonset/agent.ts";
import type { InstallOptions } from "../daemonset/install/install.ts";
import { createLog } from "../daemonset/log.ts";
import { reconcile } from "../daemonset/reconcile/reconcile.ts";
import { VERSION } from "../daemonset/version.ts";
import { readNodePolicy } from "../ipam/node-policy.ts";
import { standAloneIpam } from "../ipam/stand-alone.ts";
import { registerBench } from "./bench.ts";
import { registerConvert } from "./convert.ts";
import { registerDoctor } from "./doctor.ts";
import { installOptions, registerInstall } from "./install.ts";
import { registerLogLevel } from "./log-level.ts";
import { registerNodes } from "./nodes.ts";
import { registerRoutes } from "./routes.ts";
import { registerStatus } from "./status.ts";
import { registerSysdump } from "./sysdump.ts";
import { registerUninstall } from "./uninstall.ts";
import { registerVerify } from "./verify.ts";

/** `railnet`, the command line. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  const registers = [
    registerStatus,
    registerDoctor,
    registerVerify,
    registerNodes,
    registerRoutes,
    registerConvert,
    registerSysdump,
    registerBench,
    registerLogLevel,
    registerInstall,
    registerUninstall,
  ];
  await registers
    .reduce((y, register) => register(y), yargs([...args]))
    .scriptName("railnet")
    .usage("$0 <command>\n\nSR-IOV rails for Kubernetes pods: VFs in, VFs out, nothing left behind.")
    .command(
      "agent",
      "run the node agent: serves railnet-sriov and repairs what crashes and reboots leave behind",
      (y) =>
        installOptions(y)
          .option("health", {
            type: "string",
            default: "",
            describe: "host:port of /healthz, /readyz and /metrics by TCP, too; they are always at RUN_DIR/health.sock",
          })
          .option("metrics", {
            type: "string",
            default: "127.0.0.1:9808",
            describe: "host:port of /metrics alone, empty for none; waits while another program has it",
          })
          .option("config-dir", {
            type: "string",
            default: "/etc/railnet/config",
            describe: "where the ConfigMap railnet-config is mounted; may be missing",
          })
          .option("reconcile-seconds", {
            type: "number",
            default: 60,
            describe: "pause between two runs of the reconciler",
          })
          .option("grace-seconds", {
            type: "number",
            default: 60,
            describe: "an address is freed when it looks abandoned twice, this far apart",
          })
          .option("device-plugins", {
            type: "string",
            default: "/var/lib/kubelet/device-plugins",
            describe: "where the kubelet looks for device plugins; empty when another one offers the VFs",
          })
          .option("carrier-grace-seconds", {
            type: "number",
            default: 30,
            describe: "how long a PF must be without carrier before its VFs are unhealthy for the kubelet",
          })
          .option("report-seconds", {
            type: "number",
            default: 60,
            describe: "the longest a change on this node takes to show in its RailNode; 0: none is written",
          })
          .option("install", {
            type: "boolean",
            default: false,
            describe: "first put this version on the node, as install does, and keep its kubeconfig fresh",
          })
          .example("$0 agent --install", "as the DaemonSet runs it")
          .example("RAILNET_STATE_DIR=/tmp/state RAILNET_RUN_DIR=/tmp/run $0 agent --metrics ''", "beside another one"),
      ({ install, root, from, alias: aliases, ...options }) => agent(options, install && { root, from, aliases }),
    )
    .command(
      "reconcile",
      "clean up attachments that are incomplete, orphaned or stale, once, without an agent",
      (y) => y.example("$0 reconcile", "after a crash, on a node without an agent"),
      () => reconcileOnce(pathsFrom(process.env)),
    )
    .command("ipam", "addresses of the cluster, or of this host: who has which, what is wrong, takeover", async (y) =>
      (await import("./ipam/register.ts")).registerIpam(y),
    )
    .demandCommand(1, "which command")
    .strict()
    .fail((message, error) => {
      if (error) throw error; // otherwise yargs prints all of it, after the help
      console.error(`railnet: cannot run this: ${message}; see --help`);
      process.exit(2);
    })
    .version(VERSION)
    .help()
    .epilogue("As railnet-sriov, with CNI_COMMAND set, this executable is the CNI plugin of that name.")
    .parseAsync();
}

async function agent(
  options: Omit<AgentOptions, "paths" | "policy" | "install" | "step" | "log">,
  installation: Pick<InstallOptions, "root" | "from" | "aliases"> | false,
): Promise<void> {
  const paths = pathsFrom(process.env);
  const policy = () => readNodePolicy({ ...PATHS, ...paths }, process.env);
  const fault = faultsFrom(process.env);
  const faults = fault.step && { step: fault.step };
  const install = installation && { ...installation, ...faults, ...nodeOf(process.env) };
  const { POD_NAMESPACE: namespace, POD_NAME: name } = process.env;
  const pod = namespace && name ? { pod: { namespace, name } } : {};
  await runAgent({ ...options, ...pod, paths, policy, ...faults, ...(install && { install }), log: createLog() });
}

/** In a pod: which node of the cluster this is. @throws {Error} that says what the pod lacks. */
function nodeOf(env: Readonly<Record<string, string | undefined>>): { node?: string } {
  if (!env["KUBERNETES_SERVICE_HOST"]) return {};
  if (env["NODENAME"]) return { node: env["NODENAME"] };
  throw new Error("cannot install: NODENAME is not set; give the pod its node's name by the downward API");
}

async function reconcileOnce(paths: Partial<Paths>): Promise<void> {
  await traceFrom(process.env);
  const quiet = createLog("silent");
  const repairs = await reconcile(createHost({ paths, ipam: standAloneIpam(process.env, quiet), log: quiet }));
  if (repairs.length === 0)
    console.log(`nothing to do: every record in ${paths.stateDir ?? PATHS.stateDir} is in order`);
  for (const { pci, containerID, ifname, why, kind, error } of repairs) {
    const what = error
      ? `FAILED: ${error}`
      : { detach: "ended", reattach: "attached again", retell: "told anew", report: "left alone" }[kind];
    console.log(`${pci}  ${containerID} (${ifname}): ${why}: ${what}`);
  }
  process.exitCode = repairs.some((r) => r.error) ? 1 : 0;
}
