import type { Paths } from "../../cni/host.ts";
import { lockIn } from "../../cni/ipam-host.ts";
import type { CniRequest, CniResponse } from "../../cni/protocol/request.ts";
import type { IpamLog, NodePolicy } from "../../ipam/host.ts";
import type { IpamStep } from "../../ipam/steps.ts";
import { openStore } from "../../ipam/store/open.ts";
import { AddressService } from "./service.ts";

/** The agent's half of IPAM. */
export interface Addresses {
  readonly answer: (request: CniRequest, signal: AbortSignal) => Promise<CniResponse>;
  stop(): Promise<void>;
}

export interface AddressesOptions {
  readonly paths: Paths;
  readonly policy: NodePolicy;
  readonly log: IpamLog;
  readonly step?: (step: IpamStep) => void;
}

/** What stand-alone executables leave in the journal is taken in after at most this time. */
const SCAN_MS = 15_000;

/** Starts the IPAM plugin of the agent: answers calls, and works off what earlier processes left on disk. */
export function startAddresses({ paths, policy, log, step }: AddressesOptions): Addresses {
  const stopping = new AbortController();
  const faults = step && { step };
  const service = new AddressService({
    paths,
    policy,
    log,
    ...faults,
    open: (storage) => openStore(storage, { log, lockIn, ...faults }),
  });
  service.releases.scan();
  const scanning = setInterval(() => service.releases.scan(), SCAN_MS);
  return {
    answer: (request, signal) => service.answer(request, signal),
    async stop() {
      stopping.abort();
      clearInterval(scanning);
      service.releases.stop();
    },
  };
}
