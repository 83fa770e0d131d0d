import { statSync } from "node:fs";
import { hostname } from "node:os";
import type { Paths } from "../cni/host.ts";
import { onHost } from "../cni/host-root.ts";
import { Locks } from "../records/lock.ts";
import type { IpamHost, IpamLog, NodePolicy } from "./host.ts";
import type { ClaimRecord } from "./journal.ts";
import { readNodeText } from "./node-policy.ts";
import type { IpamStep } from "./steps.ts";
import type { Storage } from "./storage.ts";
import type { AddressLock } from "./store/address-lock.ts";
import type { Store } from "./store/store.ts";
import { presentStorage } from "./whereabouts/flat-file.ts";

/** No ADD or DEL waits longer for another call of its own attachment. */
const LOCK_WAIT_MS = 20_000;

/** What differs between the agent and the stand-alone executable. */
export interface IpamHostOptions {
  readonly paths: Paths;
  readonly policy: NodePolicy;
  readonly log: IpamLog;
  readonly step?: (step: IpamStep) => void;
  store(storage: Storage): Promise<Store>;
  releaseSoon(record: ClaimRecord, host: IpamHost): Promise<void>;
  wasReleased?(containerId: string, ifname: string): boolean;
}

/** The IPAM plugin's host on this node: its disk, its locks and its files. */
export function createIpamHost(options: IpamHostOptions): IpamHost {
  const { paths, policy, log, step, store, releaseSoon, wasReleased } = options;
  const host: IpamHost = {
    stateDir: paths.stateDir,
    node: policy.node ?? hostname(),
    log,
    policy,
    signal: new AbortController().signal,
    inode: (path) => statSync(onHost(paths.hostRoot, path), { throwIfNoEntry: false })?.ino ?? 0,
    readText: readNodeText,
    lock: lockIn(paths.runDir),
    store: (storage) => store(presentStorage(storage, { policy, readText: readNodeText })),
    step: step ?? (() => {}),
    releaseSoon: (record) => releaseSoon(record, host),
    wasReleased: wasReleased ?? (() => false),
  };
  return host;
}

/** Locks between all processes that use `dir`: flock(2) on files below it. */
export function lockIn(dir: string): AddressLock {
  const locks = new Locks(dir);
  return (name, what, signal) => locks.acquire(name, what, LOCK_WAIT_MS, signal);
}
