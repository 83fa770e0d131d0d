import { readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { writePciDeviceInfo } from "../../cni/attachment/device-info.ts";
import type { Paths } from "../../cni/host.ts";
import { exists } from "../../kernel/sysfs.ts";

/** From Allocate to the pod's ADD. */
const PROMISE_MS = 120_000;
const ENDING = "-device.json";
/** What else may stand there belongs to a resource whose name begins as ours does. */
const PCI_ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/** Where the device plugin tells Multus of VFs, beside where the CNI plugin does. */
export const deviceInfoDirOf = ({ deviceInfoDir }: Pick<Paths, "deviceInfoDir">): string =>
  join(dirname(deviceInfoDir), "dp");

/** Multus reads what the device plugin says of a VF under this name. */
export const deviceInfoFile = (dir: string, resource: string, vf: string): string =>
  join(dir, `${resource.replaceAll("/", "-")}-${vf}${ENDING}`);

/** Idempotent; replaces what was said to the pod before. */
export function writeDeviceInfoOf(dir: string, resource: string, vf: string, pf: string, rdmaDevice?: string): void {
  writePciDeviceInfo(deviceInfoFile(dir, resource, vf), vf, pf, rdmaDevice ? [rdmaDevice] : []);
}

/**
 * Whether the kubelet gave a VF to a pod a moment ago, whose ADD may still be to come: its file says so, also to an agent
 * that was started in between. A file from the future is from before the clock jumped.
 */
export function isPromised(dir: string, vf: string, nowMs = Date.now()): boolean {
  return list(dir).some((name) => {
    if (!name.endsWith(`-${vf}${ENDING}`)) return false;
    const writtenMs = statSync(join(dir, name), { throwIfNoEntry: false })?.mtimeMs;
    return writtenMs !== undefined && Math.abs(nowMs - writtenMs) < PROMISE_MS;
  });
}

/** Takes away what is left of VFs that are not on this node any more. Those of running pods stay, unlike sriovdp's. */
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
