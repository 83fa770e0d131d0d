import { readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { writePciDeviceInfo } from "../../cni/attachment/device-info.ts";
import type { Paths } from "../../cni/host.ts";
import { exists } from "../../kernel/sysfs.ts";

/** Time from Allocate to the pod's ADD. */
const PROMISE_MS = 120_000;
const ENDING = "-device.json";
/** Anything else there belongs to a resource whose name begins like ours. */
const PCI_ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Where the device plugin describes VFs for Multus, beside where the CNI plugin does. */
export const deviceInfoDirOf = ({ deviceInfoDir }: Pick<Paths, "deviceInfoDir">): string =>
  join(dirname(deviceInfoDir), "dp");

/** The name under which Multus reads the device plugin's description of a VF. */
export const deviceInfoFile = (dir: string, resource: string, vf: string): string =>
  join(dir, `${resource.replaceAll("/", "-")}-${vf}${ENDING}`);

/** Idempotent; replaces what was written for the pod before. */
export function writeDeviceInfoOf(dir: string, resource: string, vf: string, pf: string, rdmaDevice?: string): void {
  writePciDeviceInfo(deviceInfoFile(dir, resource, vf), vf, pf, rdmaDevice ? [rdmaDevice] : []);
}

/**
 * Whether the kubelet gave a VF to a pod a moment ago, whose ADD may still be to come: its file says so, even to an agent
 * that was started in between. A file from the future was written before the clock jumped.
 */
export function isPromised(dir: string, vf: string, nowMs = Date.now()): boolean {
  return list(dir).some((name) => {
    if (!name.endsWith(`-${vf}${ENDING}`)) return false;
    const writtenMs = statSync(join(dir, name), { throwIfNoEntry: false })?.mtimeMs;
    return writtenMs !== undefined && Math.abs(nowMs - writtenMs) < PROMISE_MS;
  });
}

/** Removes what is left of VFs that are no longer on this node. Files of running pods stay, unlike sriovdp's. */
export function sweepDeviceInfo(dir: string, resource: string, sysfs: string): void {
  const beginning = `${resource.replaceAll("/", "-")}-`;
  for (const name of list(dir)) {
    if (!name.startsWith(beginning) || !name.endsWith(ENDING)) continue;
    const vf = name.slice(beginning.length, -ENDING.length);
    if (PCI_ADDRESS.test(vf) && !exists(sysfs, vf)) rmSync(join(dir, name), { force: true });
  }
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // nothing was ever allocated
  }
}
