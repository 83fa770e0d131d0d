import type { Host, Log } from "./host.ts";
import { sriov } from "./plugin.ts";
import { dispatch } from "./protocol/dispatch.ts";
import { execCommand, readRequestFromProcess, writeResponse } from "./protocol/edges.ts";

/** One CNI call by this process itself: no agent, or the agent's outage. The same code as in the agent. */
export async function runPlugin(name: string): Promise<never> {
  const request = readRequestFromProcess(name);
  const afterwards: (() => Promise<void>)[] = [];
  const needsHost = ["ADD", "CHECK", "DEL", "GC", "STATUS"].includes(request.env.CNI_COMMAND ?? "");
  const host = needsHost ? await standAloneHost(afterwards) : undefined;
  const response = await dispatch(sriov, request, host as Host);
  writeResponse(response);
  for (const work of afterwards) await work();
  process.exit(response.exit);
}

async function standAloneHost(afterwards: (() => Promise<void>)[]): Promise<Host> {
  const { createHost, pathsFrom } = await import("./node-host.ts");
  const { faultsFrom } = await import("./faults.ts");
  return createHost({
    paths: pathsFrom(process.env),
    exec: execCommand,
    log: stderrLog,
    ...faultsFrom(process.env),
    afterwards: (work) => void afterwards.push(work),
  });
}

/** Runtimes show a plugin's stderr only sometimes: warnings alone go there. */
const stderrLog: Log = {
  debug: () => {},
  info: () => {},
  warn: (fields, message) => console.error(`railnet-sriov: ${message} ${JSON.stringify(fields)}`),
};
