import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { codeOf } from "../../kernel/errno.ts";
import type { AttachConfig } from "../config.ts";
import { invalid } from "../fields.ts";
import type { Host, Log } from "../host.ts";
import type { CniError } from "../protocol/error.ts";
import type { Device } from "./device.ts";

/** Larger than any device-info file. */
const READ_BYTES = 16 << 10;

/**
 * Writes the device-info file that Multus copies to `network-status`, replacing what the device plugin wrote: only now
 * is it certain which RDMA device went along.
 * The path comes from the network configuration, which a tenant may have written: call checkDeviceInfoPath() first; the
 * file is checked once more here, since it may have been replaced meanwhile.
 *
 * @throws {CniError} 7 for another device's file, and for anything but a regular file.
 */
export function writeDeviceInfo({ deviceInfoFile: file }: AttachConfig, device: Device, rdma: readonly string[]): void {
  if (!file) return;
  refuseOthers(file, device.pci);
  writePciDeviceInfo(file, device.pci, device.pf?.pci, rdma);
}

/** Writes what device-info-spec 1.1.0 says about a PCI device to a file, replacing any other. */
export function writePciDeviceInfo(file: string, vf: string, pf: string | undefined, rdma: readonly string[]): void {
  const pci = {
    "pci-address": vf,
    ...(pf && { "pf-pci-address": pf }),
    ...(rdma.length > 0 && { "rdma-device": rdma.join(",") }),
  };
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const temporary = join(dirname(file), `.${basename(file)}.railnet`);
  rmSync(temporary, { force: true }); // left by a killed process; a new file follows no link
  writeFileSync(temporary, JSON.stringify({ type: "pci", version: "1.1.0", pci }), { mode: 0o444, flag: "wx" });
  renameSync(temporary, file);
}

/**
 * Removes the file if it describes this VF, otherwise leaves it. Idempotent; Multus deletes the file too. Never fails: a
 * leftover file does no harm.
 */
export function removeDeviceInfo(deviceInfoFile: string | undefined, vf: string, log: Log): void {
  if (!deviceInfoFile) return;
  try {
    const found = look(deviceInfoFile);
    if (found.kind === "absent") return;
    if (found.kind === "file" && describes(found.text) === vf) rmSync(deviceInfoFile, { force: true });
    else log.warn({ file: deviceInfoFile, pci: vf }, "the device-info file no longer describes this VF: left in place");
  } catch (err) {
    log.warn({ err, file: deviceInfoFile, pci: vf }, "cannot remove the device-info file");
  }
}

/** @throws {CniError} 7 for a path that is not directly in the device-info directory, and for another device's file. */
export function checkDeviceInfoPath({ deviceInfoFile: path, deviceID }: AttachConfig, { paths }: Host): void {
  if (!path) return;
  const allowed = [paths.deviceInfoDir, paths.deviceInfoDir.replace(/^\/var\/run\//, "/run/")];
  if (path.includes("\0") || !allowed.includes(dirname(normalize(path))))
    throw refuse(path, `want a file in ${paths.deviceInfoDir}`);
  refuseOthers(path, deviceID);
}

function refuseOthers(path: string, vf: string): void {
  const found = look(path);
  if (found.kind === "absent") return;
  if (found.kind === "no file") throw refuse(path, "it is not a regular file; remove it");
  const other = describes(found.text);
  if (other !== undefined && other !== vf)
    throw refuse(path, `that file describes ${other}, not ${vf}; every attachment needs a file of its own`);
}

const refuse = (path: string, fix: string): CniError => invalid("runtimeConfig.CNIDeviceInfoFile", path, fix);

type Look =
  | { readonly kind: "absent" }
  | { readonly kind: "no file" }
  | { readonly kind: "file"; readonly text: string };

/** Follows no symbolic link, waits for no pipe, and reads no more than such a file can have. */
function look(path: string): Look {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return { kind: "absent" };
    if (code === "ELOOP" || code === "ENXIO") return { kind: "no file" };
    throw error;
  }
  try {
    if (!fstatSync(fd).isFile()) return { kind: "no file" };
    const bytes = Buffer.alloc(READ_BYTES);
    return { kind: "file", text: bytes.toString("utf8", 0, readSync(fd, bytes, 0, READ_BYTES, 0)) };
  } finally {
    closeSync(fd);
  }
}

/** The PCI address in a device-info file; undefined for one that describes nothing, such as a truncated one. */
function describes(text: string): string | undefined {
  try {
    const { type, pci } = JSON.parse(text) as { type?: unknown; pci?: { "pci-address"?: unknown } };
    const address = pci?.["pci-address"];
    if (typeof address === "string") return address.toLowerCase();
    return type === undefined || type === "pci" ? undefined : `a device of type ${type}`;
  } catch {
    return undefined;
  }
}
