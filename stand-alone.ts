import type { Host, Log } from "./cni/host.ts";
import { isIpamName, isRdmaName, sriov } from "./cni/plugin.ts";
import { dispatch, failure } from "./cni/protocol/dispatch.ts";
import { readRequestFromProcess, writeResponse } from "./cni/protocol/edges.ts";
import type { CniRequest, CniResponse } from "./cni/protocol/request.ts";

type Work = () => Promise<void>;

/** One CNI call by this process itself: no agent, or the agent's outage. The same code as in the agent. */
export async function runPlugin(name: string): Promise<never> {
  const afterwards: Work[] = [];
  const request = readRequestFromProcess(name);
  const response = await answer(request, afterwards).catch((error) => failure(error, request));
  writeResponse(response);
  for (const work of afterwards) await work();
  process.exit(response.exit);
}

/** What a verb needs loads when it is called: none of it for VERSION and the about text. */
async function answer(request: CniRequest, afterwards: Work[]): Promise<CniResponse> {
  if (isRdmaName(request.name)) return dispatch((await import("./cni/rdma-alias.ts")).rdmaAlias, request);
  if (!isIpamName(request.name)) return dispatch(sriov, request, () => openHost(afterwards));
  const { ipam } = await import("./ipam/plugin.ts");
  return dispatch(ipam, request, async () => (await import("./ipam/stand-alone.ts")).openHost(process.env, stderrLog));
}

/** @throws {Error} when there is none to be had: no descriptors left, no /proc. */
async function openHost(afterwards: Work[]): Promise<Host> {
  const { createHost, pathsFrom, traceFrom } = await import("./cni/node-host.ts");
  const { faultsFrom } = await import("./cni/faults.ts");
  const { standAloneIpam } = await import("./ipam/stand-alone.ts");
  await traceFrom(process.env);
  return createHost({
    paths: pathsFrom(process.env),
    ipam: standAloneIpam(process.env, stderrLog),
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
