import { writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { detachTcx, detachXdpLink } from "../kernel/bpf.ts";
import { isMissing } from "../kernel/errno.ts";
import { Ethtool, NETLINK_GENERIC } from "../kernel/ethtool.ts";
import { askByIoctl } from "../kernel/ethtool-ioctl.ts";
import { traceMessages } from "../kernel/netlink/debug.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { RxRules } from "../kernel/rx-rules.ts";
import { openSysfs } from "../kernel/syscall.ts";
import { readBootId } from "./boot-id.ts";
import { type Clock, type Host, type Log, PATHS, type Paths } from "./host.ts";
import type { Ipam } from "./ipam.ts";

/** The shim waits 110 s for the whole ADD. */
const IPAM_TIMEOUT_MS = 60_000;

/** What differs between the agent, the stand-alone executable and tests. */
export interface HostOptions {
  readonly paths?: Partial<Paths>;
  readonly ipam: Ipam;
  readonly log: Log;
  readonly clock?: Clock;
  readonly step?: Host["step"];
  readonly ipamTimeoutMs?: number;
  readonly afterwards?: (work: () => Promise<void>) => void;
}

/**
 * The host of this thread: opens one rtnetlink socket, and one for generic netlink when it is first needed, in the network
 * namespace that the thread is in.
 */
export function createHost(options: HostOptions): Host {
  const { ipam, log, clock, step, ipamTimeoutMs, afterwards } = options;
  const paths = { ...PATHS, ...options.paths };
  let ethtool: Ethtool | undefined;
  return {
    get ethtool() {
      ethtool ??= openEthtool();
      return ethtool;
    },
    rxRules: new RxRules(askByIoctl),
    bpf: { detachTcx, detachXdpLink },
    ...(paths.sysfs === PATHS.sysfs && { openSysfs }),
    paths,
    bootId: readBootId(),
    rtnl: new NetlinkSocket(),
    ipam,
    log,
    clock: clock ?? CLOCK,
    signal: new AbortController().signal,
    step: step ?? (() => {}),
    ipamTimeoutMs: ipamTimeoutMs ?? IPAM_TIMEOUT_MS,
    afterwards: afterwards ?? (() => {}),
  };
}

/** Real time. */
export const CLOCK: Clock = { nowMs: () => performance.now(), sleep: async (ms) => void (await sleep(ms)) };

/** @returns undefined before kernel 5.6. */
function openEthtool(): Ethtool | undefined {
  const generic = new NetlinkSocket({ protocol: NETLINK_GENERIC });
  try {
    return new Ethtool(generic);
  } catch (error) {
    generic[Symbol.dispose]();
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** `RAILNET_SYSFS` and the like: for single hosts with unusual locations, and for tests. */
const VARIABLES: Record<keyof Paths, string> = {
  hostRoot: "RAILNET_HOST_ROOT",
  sysfs: "RAILNET_SYSFS",
  stateDir: "RAILNET_STATE_DIR",
  runDir: "RAILNET_RUN_DIR",
  cniCacheDir: "RAILNET_CNI_CACHE_DIR",
  netnsDir: "RAILNET_NETNS_DIR",
  deviceInfoDir: "RAILNET_DEVICE_INFO_DIR",
  nodeConfig: "RAILNET_NODE_CONFIG",
};

/** Paths that the environment of the process overrides. */
export function pathsFrom(env: Readonly<Record<string, string | undefined>>): Partial<Paths> {
  return Object.fromEntries(Object.entries(VARIABLES).flatMap(([key, name]) => (env[name] ? [[key, env[name]]] : [])));
}

const STDERR = 2;

/** `RAILNET_DEBUG=netlink` shows every netlink message of this thread on standard error. */
export async function traceFrom(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  if (env["RAILNET_DEBUG"] === "netlink") await traceMessages((line) => void writeSync(STDERR, `${line}\n`));
}
