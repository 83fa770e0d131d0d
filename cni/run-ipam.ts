import type { IpamHost } from "../ipam/host.ts";
import { ClaimJournal, type ClaimRecord } from "../ipam/journal.ts";
import { ipam } from "../ipam/plugin.ts";
import { release } from "../ipam/release.ts";
import { openStore } from "../ipam/store/open.ts";
import { faultsFrom } from "./faults.ts";
import { type Log, PATHS } from "./host.ts";
import { createIpamHost, lockIn, readNodePolicy } from "./ipam-host.ts";
import { pathsFrom } from "./node-host.ts";
import { withOwnIpam } from "./own-ipam.ts";
import type { Exec } from "./protocol/delegate.ts";
import { dispatch } from "./protocol/dispatch.ts";
import type { CniRequest, CniResponse } from "./protocol/request.ts";
import { isVerb } from "./protocol/version.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A DEL waits this long for the store; then the agent finds the record on disk. */
const RELEASE_MS = 3_000;

/** One call of the IPAM plugin by this process itself. */
export async function answerIpam(request: CniRequest, env: Environment, log: Log): Promise<CniResponse> {
  const needsHost = isVerb(request.env.CNI_COMMAND ?? "") && request.env.CNI_COMMAND !== "VERSION";
  return dispatch(ipam, request, needsHost ? standAloneHost(env, log) : (undefined as never));
}

/** Delegated calls of our own IPAM plugin are answered in this process. */
export function execWithOwnIpam(exec: Exec, env: Environment, log: Log): Exec {
  const { aliases = [] } = readNodePolicy(pathsOf(env), env);
  return withOwnIpam(exec, aliases, (request) => answerIpam(request, env, log));
}

const pathsOf = (env: Environment) => ({ ...PATHS, ...pathsFrom(env) });

function standAloneHost(env: Environment, log: Log): IpamHost {
  const paths = pathsOf(env);
  const policy = readNodePolicy(paths, env);
  const { step } = faultsFrom(env);
  return createIpamHost({
    paths,
    policy,
    log,
    ...(step && { step }),
    store: (storage) => openStore(storage, { log, lockIn, ...(step && { step }) }),
    releaseSoon,
  });
}

async function releaseSoon(record: ClaimRecord, host: IpamHost): Promise<void> {
  const { containerId, ifname } = record.owner;
  const late = new Promise<never>((_, reject) =>
    setTimeout(() => reject(new Error(`no answer within ${RELEASE_MS} ms`)), RELEASE_MS).unref(),
  );
  const work = async () => release(record, await host.store(record.storage), new ClaimJournal(host.stateDir), host);
  await Promise.race([work(), late]).catch((err) =>
    host.log.warn({ err, containerID: containerId, ifname }, "addresses are released later, by the agent"),
  );
}
