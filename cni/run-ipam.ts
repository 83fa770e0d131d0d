import type { IpamHost } from "../ipam/host.ts";
import { ipam } from "../ipam/plugin.ts";
import { faultsFrom } from "./faults.ts";
import { type Log, PATHS } from "./host.ts";
import { readNodePolicy } from "./ipam-host.ts";
import { pathsFrom } from "./node-host.ts";
import { withOwnIpam } from "./own-ipam.ts";
import type { Exec } from "./protocol/delegate.ts";
import { dispatch } from "./protocol/dispatch.ts";
import type { CniRequest, CniResponse } from "./protocol/request.ts";
import { isVerb } from "./protocol/version.ts";
import { standAloneHost } from "./stand-alone-ipam.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** One call of the IPAM plugin by this process itself. */
export async function answerIpam(request: CniRequest, env: Environment, log: Log): Promise<CniResponse> {
  const needsHost = isVerb(request.env.CNI_COMMAND ?? "") && request.env.CNI_COMMAND !== "VERSION";
  return dispatch(ipam, request, needsHost ? hostOf(env, log) : (undefined as never));
}

/** Delegated calls of our own IPAM plugin are answered in this process. */
export function execWithOwnIpam(exec: Exec, env: Environment, log: Log): Exec {
  const { aliases = [] } = readNodePolicy(pathsOf(env), env);
  return withOwnIpam(exec, aliases, (request) => answerIpam(request, env, log));
}

const pathsOf = (env: Environment) => ({ ...PATHS, ...pathsFrom(env) });

function hostOf(env: Environment, log: Log): IpamHost {
  const paths = pathsOf(env);
  const { step } = faultsFrom(env);
  return standAloneHost({ paths, policy: readNodePolicy(paths, env), log, ...(step && { step }) });
}
