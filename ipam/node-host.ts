import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import type { Paths } from "../cni/host.ts";
import { onHost } from "../cni/host-root.ts";
import { CniError, CODE } from "../cni/protocol/error.ts";
import { codeOf } from "../kernel/errno.ts";
import { Locks } from "../records/lock.ts";
import type { IpamHost, IpamLog, NodePolicy } from "./host.ts";
import type { ClaimRecord } from "./journal.ts";
import type { IpamStep } from "./steps.ts";
import type { Storage } from "./storage.ts";
import type { AddressLock } from "./store/address-lock.ts";
import type { Store } from "./store/store.ts";
import { presentStorage, readNodeName } from "./whereabouts/flat-file.ts";

/** No ADD or DEL waits longer for another one of its own attachment. */
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
    readText,
    lock: lockIn(paths.runDir),
    store: (storage) => store(presentStorage(storage, { policy, readText })),
    step: step ?? (() => {}),
    releaseSoon: (record) => releaseSoon(record, host),
    wasReleased: wasReleased ?? (() => false),
  };
  return host;
}

/** Locks between all processes that know `dir`: flock(2) on files below it. */
export function lockIn(dir: string): AddressLock {
  const locks = new Locks(dir);
  return (name, what, signal) => locks.acquire(name, what, LOCK_WAIT_MS, signal);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw new CniError(CODE.IO_FAILURE, `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Root's own settings of this node, `/etc/railnet/node.json`; without that file the defaults. The node's name is in it if
 * anything says it: the settings, NODENAME, Whereabouts' installer.
 *
 * @throws {CniError} 7 for a file that is no JSON object.
 */
export function readNodePolicy({ nodeConfig }: Paths, env: Readonly<Record<string, string | undefined>>): NodePolicy {
  const text = readText(nodeConfig);
  const policy = text === undefined ? {} : parsePolicy(text, nodeConfig);
  const node = policy.node || env["NODENAME"] || readNodeName(policy, readText);
  return { ...policy, ...(node && { node }) };
}

function parsePolicy(text: string, path: string): NodePolicy {
  try {
    const policy: unknown = JSON.parse(text);
    if (typeof policy === "object" && policy !== null && !Array.isArray(policy)) return policy;
  } catch {}
  throw new CniError(CODE.INVALID_CONFIG, `cannot use ${path}: want a JSON object such as {"node": "node-a"}`);
}
