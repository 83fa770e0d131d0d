import { codeOf } from "../../kernel/errno.ts";
import { inNetns } from "../../kernel/netns.ts";
import { type Gid, gidOf, gidsIn, rdmaPortOf, roceGidOf, roceMtuOf } from "../../kernel/rdma-port.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { ATTACH_CODE } from "../codes.ts";
import { type AttachConfig, type RdmaReady, READY_WAIT_MS } from "../config.ts";
import type { Host } from "../host.ts";
import { CniError } from "../protocol/error.ts";

/** An RDMA device as a pod has it. */
export interface RdmaInPod {
  readonly device: string;
  readonly port: number;
  readonly state: string;
  /** Gb/s. */
  readonly speedGbps?: number;
  /** Bytes: of packets, by the link's MTU. */
  readonly mtu?: number;
  /** With RoCE v2, in the addresses' order; an address is missing while the table does not have it. */
  readonly gids: readonly (Gid & { readonly address: string })[];
}

/** A VF in a pod whose RDMA device is looked at. */
export interface RdmaAsked {
  readonly pci: string;
  /** Names in the pod. */
  readonly devices: readonly string[];
  /** It belongs to the pod's network namespace, whose sysfs alone shows it. */
  readonly isMoved: boolean;
  readonly netns: Fd;
  /** Without prefix lengths. */
  readonly addresses: readonly string[];
  /** Of the link. */
  readonly linkMtu?: number;
  readonly config: Pick<AttachConfig, "rdma" | "rdmaReady" | "expect">;
}

const FIRST_PAUSE_MS = 1;
const LAST_PAUSE_MS = 20;
/** The kernel fills the table from a queue of work, mostly before ADD looks: what the workload is told waits so long for it. */
const TOLD_WAIT_MS = 100;

/**
 * Waits until the VF's RDMA device can be used with the pod's addresses: the RoCE v2 GID of each is in its table, its port is
 * active, MTU and speed are what was declared.
 *
 * @param isTold somebody wants to know what it is like, though nobody insists on anything.
 * @returns the first device as it is; undefined where there is none, nobody asks, or the kernel does not show it.
 * @throws {CniError} 104 naming what is missing, what was seen and what to check, where that is to fail.
 */
export async function awaitRdma(asked: RdmaAsked, isTold: boolean, host: Host): Promise<RdmaInPod | undefined> {
  const ready = readinessOf(asked.config, isTold);
  const [device] = asked.devices;
  if (!ready || device === undefined) return undefined;
  for (
    let pauseMs = FIRST_PAUSE_MS, endMs = host.clock.nowMs() + ready.waitMs;
    ;
    pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS)
  ) {
    const { seen, lacks } = look(device, asked, host) ?? {};
    if (!lacks || lacks.length === 0) return seen;
    if (host.clock.nowMs() + pauseMs > endMs) return refuse(lacks, asked, ready, seen, host);
    await host.clock.sleep(pauseMs);
    host.signal.throwIfAborted();
  }
}

function readinessOf({ rdma, rdmaReady, expect }: RdmaAsked["config"], isTold: boolean): RdmaReady | undefined {
  const told: RdmaReady | undefined = isTold ? { otherwise: "off", waitMs: TOLD_WAIT_MS } : undefined;
  if (rdma === "off") return undefined;
  if (rdmaReady) return rdmaReady.otherwise === "off" ? told : rdmaReady;
  if (rdma === "required") return { otherwise: "fail", waitMs: READY_WAIT_MS };
  return expect ? { otherwise: "warn", waitMs: READY_WAIT_MS } : told;
}

function refuse(
  lacks: readonly string[],
  { pci }: RdmaAsked,
  { otherwise, waitMs }: RdmaReady,
  seen: RdmaInPod | undefined,
  { log }: Host,
): RdmaInPod | undefined {
  const why = `the RDMA device of VF ${pci} is not ready after ${waitMs} ms: ${lacks.join("; ")}`;
  if (otherwise === "fail") throw new CniError(ATTACH_CODE.RDMA_UNUSABLE, `cannot provide RDMA: ${why}`);
  if (otherwise === "warn") log.warn({ pci, lacks }, "the RDMA device is not ready: the pod gets it as it is");
  return seen;
}

/** One look. @returns undefined where the kernel cannot show the pod's view (before 5.2), or it is a test's. */
export function look(
  device: string,
  asked: RdmaAsked,
  host: Pick<Host, "paths" | "openSysfs">,
): { readonly seen?: RdmaInPod; readonly lacks: readonly string[] } | undefined {
  if (!asked.isMoved) return lookAt(host.paths.sysfs, device, asked);
  return withSysfsOf(asked.netns, host, (root) => lookAt(root, device, asked));
}

/** What its sysfs says of a pod's RDMA devices. @returns undefined where the kernel cannot show it, or it is a test's. */
export function withSysfsOf<T>(
  netns: Fd,
  { openSysfs }: Pick<Host, "openSysfs">,
  work: (root: string) => T,
): T | undefined {
  if (!openSysfs) return undefined;
  let sysfs: Fd;
  try {
    sysfs = inNetns(netns, openSysfs as () => never);
  } catch (error) {
    if (["ENOSYS", "EPERM"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
  try {
    return work(`/proc/self/fd/${sysfs.n}`);
  } finally {
    sysfs.closeLater(); // ends the mount, which may wait for an RCU grace period
  }
}

function lookAt(root: string, device: string, { addresses, linkMtu, config: { expect = {} } }: RdmaAsked) {
  const port = rdmaPortOf(root, device);
  if (!port) return { lacks: [`${device} has no port that can be seen (rdma link)`] };
  const found = addresses.map((address) => ({ address, gid: roceGidOf(root, device, port.number, address) }));
  const mtu = linkMtu === undefined ? undefined : roceMtuOf(linkMtu);
  const seen: RdmaInPod = {
    device,
    port: port.number,
    state: port.state,
    ...(port.rate !== undefined && { speedGbps: port.rate }),
    ...(mtu !== undefined && { mtu }),
    gids: found.flatMap(({ address, gid }) => (gid ? [{ ...gid, address }] : [])),
  };
  const at = `port ${port.number} of ${device}`;
  const lacks: string[] = [];
  if (port.state !== "ACTIVE")
    lacks.push(`${at} is ${port.state}, want ACTIVE: check cable, switch port and the PF's link state for the VF`);
  for (const { address, gid } of found)
    if (!gid) lacks.push(lackingGid(address, at, gidsIn(root, device, port.number)));
  if (expect.roceMtu !== undefined && mtu !== expect.roceMtu)
    lacks.push(
      `the RoCE MTU of ${device} is ${mtu ?? "too small"}, want ${expect.roceMtu}: its link's MTU is ${linkMtu}; check mtu of the network and of the PF`,
    );
  if (expect.linkMtu !== undefined && linkMtu !== undefined && linkMtu !== expect.linkMtu)
    lacks.push(`the link's MTU is ${linkMtu}, want ${expect.linkMtu}: check mtu of the network and of the PF`);
  if (expect.speedGbps !== undefined && port.rate !== expect.speedGbps)
    lacks.push(
      `${at} has ${port.rate ?? "no"} Gb/s, want ${expect.speedGbps}: check cable, transceiver and the switch port's speed`,
    );
  return { seen, lacks };
}

const FEW = 4;

function lackingGid(address: string, at: string, there: readonly string[]): string {
  const some = there.length === 0 ? "none" : `${there.slice(0, FEW).join(", ")}${there.length > FEW ? ", …" : ""}`;
  return (
    `${at} has no RoCE v2 GID ${gidOf(address)} of ${address}; its table has ${some}: ` +
    "is the address on the VF's own link, and RoCE on at the device (devlink dev param show, enable_roce)?"
  );
}
