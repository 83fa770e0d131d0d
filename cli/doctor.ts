import { join } from "node:path";
import type { Argv } from "yargs";
import type { Paths } from "../cni/host.ts";
import { createHost, pathsFrom } from "../cni/node-host.ts";
import { REFERENCES } from "../cni/reference.ts";
import { installPathsBelow } from "../daemonset/install/paths.ts";
import { createLog } from "../daemonset/log.ts";
import { readNetworks } from "../daemonset/rail-network/file.ts";
import type { NodePolicy } from "../ipam/host.ts";
import { readNodePolicy } from "../ipam/node-policy.ts";
import { standAloneIpam } from "../ipam/stand-alone.ts";
import { kubeconfigOfNode } from "../ipam/whereabouts/flat-file.ts";
import { AgentSilentError, askAgent } from "./ask-agent.ts";
import { clusterFindings } from "./doctor/cluster.ts";
import { diskFindings } from "./doctor/disk.ts";
import { executableFindings } from "./doctor/executables.ts";
import { type Check, type DoctorFinding, named, wrong } from "./doctor/finding.ts";
import { foreignFindings } from "./doctor/foreign.ts";
import { managerFindings } from "./doctor/managers.ts";
import { railFindings } from "./doctor/rails.ts";
import { routeFindings } from "./doctor/routes.ts";
import { type ExitCode, running } from "./ipam/options.ts";
import { readText } from "./ipam/read-text.ts";
import { outputFor } from "./output.ts";
import { gatherStatus } from "./status/gather.ts";
import type { NodeStatus } from "./status/node-status.ts";
import { count, table } from "./table.ts";

interface DoctorOptions {
  readonly json: boolean;
  readonly root: string | undefined;
  readonly configDir: string;
}

export const registerDoctor = (y: Argv): Argv =>
  y.command(
    "doctor",
    "what is wrong on this node, and how to fix it, one line each",
    (y) =>
      y
        .option("json", { type: "boolean", default: false, describe: "for scripts" })
        .option("root", {
          type: "string",
          defaultDescription: "RAILNET_HOST_ROOT, else /",
          describe: "root directory of the node: below it is what install put there",
        })
        .option("config-dir", {
          type: "string",
          default: "/etc/railnet/config",
          describe: "where the ConfigMap railnet-config is mounted, for when no agent can be asked",
        })
        .example("$0 doctor", "works in the agent's pod, too: kubectl -n kube-system exec POD -- railnet doctor")
        .epilogue(
          'With --json: [{"check", "is", "says"}]; is: ok, note (may be as it is meant) or wrong. Changes nothing. ' +
            "Exit codes: 0 nothing is wrong; 1 something is.",
        ),
    running(doctor),
  );

async function doctor({ json, root, configDir }: DoctorOptions): Promise<ExitCode> {
  const quiet = createLog("silent");
  const host = createHost({ paths: pathsFrom(process.env), ipam: standAloneIpam(process.env, quiet), log: quiet });
  const policy = readNodePolicy(host.paths, process.env);
  const status = await gatherStatus({ host, policy, configDir });
  const findings = await findingsOf({ status, policy, paths: host.paths, root });
  outputFor({ json }).answer(findings, () => report(findings));
  return findings.some(({ is }) => is === "wrong") ? 1 : 0;
}

interface Look {
  readonly status: NodeStatus;
  readonly policy: NodePolicy;
  readonly paths: Paths;
  /** The node's root. Default: the host's according to the paths. */
  readonly root?: string | undefined;
}

/** All checks, in parallel. */
export async function findingsOf({ status, policy, paths, root }: Look): Promise<readonly DoctorFinding[]> {
  const { directory = `${paths.stateDir}/addresses` } = policy;
  const checks: Record<string, Check> = {
    rails: () => railFindings(status, paths.sysfs),
    "VFs' managers": () =>
      managerFindings({
        vfs: status.rails.flatMap(({ vfs }) => vfs.map(({ pci }) => pci)),
        sysfs: paths.sysfs,
        root: root ?? paths.hostRoot,
      }),
    executables: () => executableFindings(installPathsBelow(root ?? paths.hostRoot), status.agent),
    journal: () => diskFindings(paths.stateDir),
    "sriov-cni": () => foreignFindings(paths),
    "nodes on rails": () => nodesOnRails(paths.runDir),
    "API server": () =>
      clusterFindings({ kubeconfig: kubeconfigOfNode({ policy, readText }), directory, isForPods: isForPods(paths) }),
  };
  return (await Promise.all(Object.entries(checks).map(([name, check]) => look(name, check)))).flat();
}

/** Another check reports that no agent answers. */
async function nodesOnRails(runDir: string): Promise<readonly DoctorFinding[]> {
  try {
    return routeFindings(await askAgent(runDir, { ask: "routes" }));
  } catch (error) {
    if (error instanceof AgentSilentError) return [];
    throw error;
  }
}

/** An invalid file is reported by the check of the rails. */
function isForPods({ stateDir }: Paths): boolean {
  try {
    return readNetworks(join(stateDir, REFERENCES)).some(({ pods }) => pods !== undefined);
  } catch {
    return false;
  }
}

/** A check that fails has found something, too. */
async function look(name: string, check: Check): Promise<readonly DoctorFinding[]> {
  try {
    return await check();
  } catch (error) {
    return named(name, [wrong(`cannot look: ${(error as Error).message}`)], "");
  }
}

/** Pure. */
function report(findings: readonly DoctorFinding[]): string {
  const wrongs = findings.filter(({ is }) => is === "wrong").length;
  const lines = table(
    [
      { title: "IS", of: ({ is }) => (is === "wrong" ? "WRONG" : is) },
      { title: "CHECK", of: ({ check }) => check },
      { title: "WHAT, AND WHAT TO DO", of: ({ says }) => says },
    ],
    findings,
  );
  return `${lines}${wrongs === 0 ? "nothing is wrong" : `${count(wrongs, "thing is", "things are")} wrong`}\n`;
}
