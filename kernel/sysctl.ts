import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What is needed besides the key. */
export interface SysctlPlace {
  /** What `IFNAME` in the key stands for; may contain dots. */
  readonly ifname?: string | undefined;
  /** Default `/proc/sys`, which shows the network namespace that the thread is in. */
  readonly root?: string;
}

/**
 * Path of a key below `net.`. Keys come from network configurations, which tenants may write: any that could name another
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

/** Acts on the namespace that the thread is in, so call it inside `inNetns()`: an asynchronous write would land elsewhere. */
export function writeSysctl(key: string, value: string, { ifname, root }: SysctlPlace = {}): void {
  writeFileSync(sysctlPath(key, ifname, root), value, { flag: "r+" }); // never creates a file
}

export function readSysctl(key: string, { ifname, root }: SysctlPlace = {}): string {
  return readFileSync(sysctlPath(key, ifname, root), "utf8").trim();
}
