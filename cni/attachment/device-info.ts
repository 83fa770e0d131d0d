import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import type { AttachConfig } from "../config.ts";
import { invalid } from "../fields.ts";
import type { Host } from "../host.ts";
import type { Device } from "./device.ts";

/**
 * Writes the device-info file that Multus copies to `network-status`. What the device plugin wrote there before is
 * replaced: only now it is certain which RDMA device went along.
 * The path comes with the network configuration, which a tenant may have written: checkDeviceInfoPath() comes first.
 */
export function writeDeviceInfo({ deviceInfoFile: file }: AttachConfig, device: Device, rdma: readonly string[]): void {
  if (file) writePciDeviceInfo(file, device.pci, device.pf?.pci, rdma);
}

/** What device-info-spec 1.1.0 says of a PCI device, in a file; in place of another one. */
export function writePciDeviceInfo(file: string, vf: string, pf: string | undefined, rdma: readonly string[]): void {
  const pci = {
    "pci-address": vf,
    ...(pf && { "pf-pci-address": pf }),
    ...(rdma.length > 0 && { "rdma-device": rdma.join(",") }),
  };
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const temporary = join(dirname(file), `.${basename(file)}.railnet`);
  writeFileSync(temporary, JSON.stringify({ type: "pci", version: "1.1.0", pci }), { mode: 0o444 });
  renameSync(temporary, file);
}

/** Idempotent; Multus deletes the file too. */
export function removeDeviceInfo(deviceInfoFile: string | undefined): void {
  if (deviceInfoFile) rmSync(deviceInfoFile, { force: true });
}

/** @throws {CniError} 7 for a path elsewhere than directly in the device-info directory. */
export function checkDeviceInfoPath({ deviceInfoFile: path }: AttachConfig, { paths }: Host): void {
  if (!path) return;
  const allowed = [paths.deviceInfoDir, paths.deviceInfoDir.replace(/^\/var\/run\//, "/run/")];
  if (!allowed.includes(dirname(normalize(path))))
    throw invalid("runtimeConfig.CNIDeviceInfoFile", path, `want a file in ${paths.deviceInfoDir}`);
}
