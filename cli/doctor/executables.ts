import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type InstallPaths, isShim, PLUGINS } from "../../daemonset/install/paths.ts";
import { VERSION } from "../../daemonset/version.ts";
import type { AgentAnswer } from "../status/node-status.ts";
import { type DoctorFinding, named, wrong } from "./finding.ts";

/** Whether the executables that the runtime calls have the same version as the running agent. */
export function executableFindings({ plugins, executables }: InstallPaths, agent: AgentAnswer): DoctorFinding[] {
  const shim = read(join(executables, "railnet-shim"));
  const findings = PLUGINS.flatMap((name) => {
    const path = join(plugins, name);
    const bytes = read(path);
    if (!bytes) return [wrong(`${path} is missing: railnet install`)];
    if (!isShim(path)) return [wrong(`${path} is not Railnet's: another package put it there; railnet install`)];
    return shim && !bytes.equals(shim)
      ? [wrong(`${path} is of another version than ${executables}: railnet install`)]
      : [];
  });
  if (!shim)
    findings.push(wrong(`${executables} is not complete, so nothing works while the agent is down: railnet install`));
  if (agent.answers && agent.version !== VERSION)
    findings.push(
      wrong(`the agent is ${agent.version}, this executable ${VERSION}: an upgrade has not reached this node`),
    );
  return named("executables", findings, `${plugins} and ${executables} are of one version`);
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
