import type { IpamHost } from "./host.ts";
import { ClaimJournal, type ClaimRecord } from "./journal.ts";
import { createIpamHost, type IpamHostOptions, lockIn } from "./node-host.ts";
import { release } from "./release.ts";
import { type OpenOptions, openStore } from "./store/open.ts";

/** How long a DEL waits for the store; after that the agent finds the record on disk. */
const RELEASE_MS = 3_000;

export interface StandAloneOptions
  extends Pick<IpamHostOptions, "paths" | "policy" | "log" | "step">,
    Pick<OpenOptions, "network"> {}

/** The IPAM plugin's host in a process that ends with its call. */
export function standAloneHost({ network, ...options }: StandAloneOptions): IpamHost {
  const { log, step } = options;
  const opening: OpenOptions = { log, lockIn, ...(step && { step }), ...(network && { network }) };
  return createIpamHost({ ...options, store: (storage) => openStore(storage, opening), releaseSoon });
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
