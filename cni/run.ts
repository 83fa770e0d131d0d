import type { Host, Log } from "./host.ts";
import { isIpamName, isRdmaName, sriov } from "./plugin.ts";
import { dispatch, failure } from "./protocol/dispatch.ts";
import { execCommand, readRequestFromProcess, writeResponse } from "./protocol/edges.ts";
import type { CniRequest, CniResponse } from "./protocol/request.ts";
import { isVerb } from "./protocol/version.ts";

type Work = () => Promise<void>;

/** One CNI call by this process itself: no agent, or the agent's outage. The same code as in the agent. */
export async function runPlugin(name: string): Promise<never> {
  const afterwards: Work[] = [];
  const response = await answer(readRequestFromProcess(name), afterwards).catch((error) => failure(error));
  writeResponse(response);
  for (const work of afterwards) await work();
  process.exit(response.exit);
}

/**
 * VERSION and the about text need no host.
 *
 * @throws {Error} when there is none to be had: no descriptors left, no /proc.
 */
async function answer(request: CniRequest, afterwards: Work[]): Promise<CniResponse> {
  if (isIpamName(request.name)) return (await import("./run-ipam.ts")).answerIpam(request, process.env, stderrLog);
  if (isRdmaName(request.name)) return dispatch((await import("./rdma-alias.ts")).rdmaAlias, request, undefined);
  const host = isVerb(request.env.CNI_COMMAND ?? "") ? await standAloneHost(afterwards) : undefined;
  return dispatch(sriov, request, host as Host);
}

async function standAloneHost(afterwards: Work[]): Promise<Host> {
  const { createHost, pathsFrom, traceFrom } = await import("./node-host.ts");
  const { faultsFrom } = await import("./faults.ts");
  await traceFrom(process.env);
  return createHost({
    paths: pathsFrom(process.env),
    exec: async (request) => {
      const { execWithOwnIpam } = await import("./run-ipam.ts"); // many do without addresses, or with static ones
      return execWithOwnIpam(execCommand, process.env, stderrLog)(request);
    },
    log: stderrLog,
    ...faultsFrom(process.env),
    afterwards: (work) => void afterwards.push(work),
  });
}

/** Runtimes show a plugin's stderr only sometimes: warnings alone go there. */
const stderrLog: Log = {
  debug: () => {},
  info: () => {},
  warn: (fields, message) => console.error(`railnet: ${message} ${JSON.stringify(fields)}`),
};
