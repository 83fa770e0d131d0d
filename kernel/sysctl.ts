import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where, beside the key. */
export interface SysctlPlace {
  /** What `IFNAME` in the key stands for; may contain dots. */
  readonly ifname?: string | undefined;
  /** Default `/proc/sys`, which shows the network namespace that the thread is in. */
  readonly root?: string;
}

/**
 * File of a key below `net.`. Keys come from network configurations, which tenants may write: what could name any other
 * file is refused.
 *
 * @throws {Error} for such a key or interface name.
 */
export function sysctlPath(key: string, ifname = "", root = "/proc/sys"): string {
  const parts = key.split(".");
  if (parts[0] !== "net" || parts.length < 2 || parts.some((p) => !/^[\w-]+$/.test(p)))
    throw new Error(`cannot use sysctl ${key}: only keys below net. are allowed`);
  const isLink = /^[^/\s]{1,15}$/.test(ifname) && ifname !== "." && ifname !== "..";
  if (parts.includes("IFNAME") && !isLink) throw new Error(`cannot use interface name "${ifname}" in sysctl ${key}`);
  return join(root, ...parts.map((p) => (p === "IFNAME" ? ifname : p)));
}

/** Only in the namespace where the thread is, so in `inNetns()`: a write that waits would land elsewhere. */
export function writeSysctl(key: string, value: string, { ifname, root }: SysctlPlace = {}): void {
  writeFileSync(sysctlPath(key, ifname, root), value, { flag: "r+" }); // never makes a file
}

export function readSysctl(key: string, { ifname, root }: SysctlPlace = {}): string {
  return readFileSync(sysctlPath(key, ifname, root), "utf8").trim();
}
