import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Which character devices (`uverbs2`, `umad2`) the kubelet's plugin gave a pod with its VF: by the time of ADD they can
 * belong to something else, since the kernel renumbers them at every move. One file per VF, gone after a reboot.
 */
export interface RdmaPromise {
  readonly devices: readonly string[];
  /** The pod's ID; absent until its first ADD. */
  readonly pod?: string;
}

/** Records what our own device plugin allocates; it does not know for which pod. */
export const promiseRdma = (runDir: string, pci: string, devices: readonly string[]): void =>
  write(runDir, pci, { devices });

/**
 * What was promised to this pod. If nobody recorded it (another device plugin), it is what the VF has at the pod's first
 * ADD, so that a repeated ADD does not accept what the one before it has made of that.
 */
export function rdmaPromisedTo(pod: string, runDir: string, pci: string, now: readonly string[]): readonly string[] {
  const before = read(runDir, pci);
  if (before?.pod === pod) return before.devices;
  const devices = before && before.pod === undefined ? before.devices : now;
  if (devices.length > 0) write(runDir, pci, { devices, pod }); // none is no promise: its driver's RDMA part was not loaded then
  return devices;
}

const fileOf = (runDir: string, pci: string): string => join(runDir, "rdma", pci);

function read(runDir: string, pci: string): RdmaPromise | undefined {
  try {
    const found: RdmaPromise = JSON.parse(readFileSync(fileOf(runDir, pci), "utf8"));
    return Array.isArray(found?.devices) && found.devices.length > 0 ? found : undefined;
  } catch {
    return undefined; // no file, or an incomplete one
  }
}

function write(runDir: string, pci: string, promise: RdmaPromise): void {
  const file = fileOf(runDir, pci);
  mkdirSync(join(runDir, "rdma"), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(promise), { mode: 0o600 });
  renameSync(`${file}.${process.pid}`, file);
}
