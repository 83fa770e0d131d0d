import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { codeOf } from "../../kernel/errno.ts";
import { openNetns } from "../../kernel/netns.ts";
import { ETH_P_8021Q } from "../../kernel/protocols.ts";
import { isVf, pfOf } from "../../kernel/sysfs.ts";
import type { VfState } from "../../kernel/vf.ts";
import type { Host } from "../host.ts";
import { onHost } from "../host-root.ts";
import type { Call } from "../protocol/request.ts";
import { Journal } from "./journal.ts";
import type { Attachment } from "./record.ts";

/** sriov-cni's cache of one attachment (`pkg/types/types.go`), the fields that DEL needs. */
interface SriovCache {
  readonly deviceID: string;
  readonly Master?: string;
  readonly VFID?: number;
  readonly OrigVfState: {
    readonly HostIFName: string;
    readonly SpoofChk: boolean;
    readonly Trust: boolean;
    readonly AdminMAC: string;
    readonly EffectiveMAC: string;
    readonly Vlan: number;
    readonly VlanQoS: number;
    readonly VlanProto?: number;
    readonly MinTxRate: number;
    readonly MaxTxRate: number;
    readonly LinkState: number;
    readonly MTU: number;
  };
  readonly vlan?: number | null;
  readonly min_tx_rate?: number | null;
  readonly max_tx_rate?: number | null;
  readonly spoofchk?: string;
  readonly trust?: string;
  readonly link_state?: string;
}

/** `IFLA_VF_LINK_STATE_*`, include/uapi/linux/if_link.h. */
const LINK_STATES = ["auto", "enable", "disable"] as const;

/**
 * An attachment made by sriov-cni (and rdma-cni chained after it), as a record of ours, so that a node can be switched
 * while pods run. Undefined when they know none, or when their file is incomplete.
 */
export function findForeign(call: Call, host: Host): Attachment | undefined {
  const cache = readJson<SriovCache>(sriovFile(call, host));
  if (!cache?.OrigVfState || typeof cache.deviceID !== "string") return undefined;
  const { OrigVfState: was } = cache;
  const rdma = readJson<{ sandboxRdmaDevName?: string }>(rdmaFile(call, host))?.sandboxRdmaDevName;
  const device = identify(cache, host);
  return {
    version: 1,
    phase: hasOwner(device.pci, host) || isGivenOn(call, device.pci, host) ? "returned" : "attached",
    bootId: host.bootId,
    containerId: call.containerId,
    ifname: call.ifname,
    network: call.config.name,
    netns: call.netns || (foreignOwner(device.pci, host) ?? ""),
    netnsInode: 0,
    device,
    original: {
      ...(was.HostIFName && { name: was.HostIFName, alias: "", altnames: [], up: false }),
      ...(was.EffectiveMAC && { mac: was.EffectiveMAC }),
      ...(was.MTU && { mtu: was.MTU }),
      vf: originalVf(cache),
      ...(rdma && { rdma: [rdma] }),
    },
    applied: appliedVf(cache),
    request: { path: call.path, args: call.request.env.CNI_ARGS ?? "", stdin: call.request.stdin },
  };
}

/** Deletes what the other plugins stored about an attachment. Idempotent. */
export function forgetForeign(call: Call, pci: string, host: Host): void {
  const isOurs = !hasOwner(pci, host) && !isGivenOn(call, pci, host);
  for (const file of [sriovFile(call, host), rdmaFile(call, host)]) rmSync(file, { force: true });
  if (isOurs) rmSync(pciFile(pci, host), { force: true });
}

/** The live namespace that a VF is in according to sriov-cni. */
export function foreignOwner(pci: string, host: Host): string | undefined {
  const path = readText(pciFile(pci, host))?.trim();
  if (!path) return undefined;
  try {
    openNetns(onHost(host.paths.hostRoot, path))[Symbol.dispose]();
    return path;
  } catch {
    return undefined; // gone: sriov-cni, too, takes the VF as free then
  }
}

function identify(cache: SriovCache, host: Host): Attachment["device"] {
  const pci = cache.deviceID;
  const pf = isVf(host.paths.sysfs, pci) ? pfOf(host.paths.sysfs, pci) : undefined;
  return { pci, ...(pf && { pf: { name: pf.name, pci: pf.pci, vf: pf.vf } }) };
}

function hasOwner(pci: string, host: Host): boolean {
  return new Journal(host.paths.stateDir).activeOwners(pci, host.bootId).length > 0;
}

/** Whether sriov-cni has since given the VF to another pod: one of its files that names the VF is younger than the call's. */
function isGivenOn(call: Call, pci: string, host: Host): boolean {
  const own = sriovFile(call, host);
  const since = mtimeMs(own);
  if (since === undefined) return false;
  const dir = dirname(own);
  return readdirSync(dir)
    .map((name) => join(dir, name))
    .some((file) => file !== own && (mtimeMs(file) ?? 0) > since && readJson<SriovCache>(file)?.deviceID === pci);
}

function mtimeMs(file: string): number | undefined {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat?.isFile() ? stat.mtimeMs : undefined;
}

function originalVf({ OrigVfState: was }: SriovCache): VfState {
  return {
    mac: was.AdminMAC || "00:00:00:00:00:00",
    vlan: was.Vlan,
    qos: was.VlanQoS,
    proto: was.VlanProto || ETH_P_8021Q, // caches of older versions have none
    minTxRate: was.MinTxRate,
    maxTxRate: was.MaxTxRate,
    spoofchk: was.SpoofChk,
    trust: was.Trust,
    linkState: LINK_STATES[was.LinkState] ?? "auto",
  };
}

/** What sriov-cni resets: the configured settings, and the administrative MAC whenever it had read one. */
function appliedVf(cache: SriovCache): Partial<VfState> {
  const was = originalVf(cache);
  const pick = (on: unknown, ...keys: (keyof VfState)[]) =>
    on ? Object.fromEntries(keys.map((k) => [k, was[k]])) : {};
  return {
    ...pick(typeof cache.vlan === "number", "vlan", "qos", "proto"),
    ...pick(typeof cache.min_tx_rate === "number" || typeof cache.max_tx_rate === "number", "minTxRate", "maxTxRate"),
    ...pick(cache.spoofchk, "spoofchk"),
    ...pick(cache.trust, "trust"),
    ...pick(cache.link_state, "linkState"),
    ...pick(cache.OrigVfState.AdminMAC, "mac"),
  };
}

const safe = (name: string): string => name.replaceAll("/", "_");
const sriovFile = (c: Call, { paths }: Host) => join(paths.cniCacheDir, "sriov", safe(`${c.containerId}-${c.ifname}`));
const rdmaFile = (c: Call, { paths }: Host) =>
  join(paths.cniCacheDir, "rdma", safe(`${c.config.name}-${c.containerId}-${c.ifname}`));
const pciFile = (pci: string, { paths }: Host) => join(paths.cniCacheDir, "sriov", "pci", safe(pci));

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readText(file) ?? "null") ?? undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // torn: DEL goes on without it, as sriov-cni does
    throw error;
  }
}
