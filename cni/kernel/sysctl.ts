import { readFileSync, writeFileSync } from "node:fs";

/**
 * Path of a key below `net.` in /proc/sys, for the network namespace that the thread is in. `IFNAME` stands for the
 * interface, whose name may contain dots.
 *
 * @throws {Error} for a key outside `net.` or one that would leave it.
 */
export function sysctlPath(key: string, ifname = ""): string {
  const parts = key.split(".");
  if (parts[0] !== "net" || parts.some((p) => !/^[\w-]+$/.test(p)))
    throw new Error(`cannot use sysctl ${key}: only keys below net. are allowed`);
  if (ifname.includes("/") || ifname === "." || ifname === "..")
    throw new Error(`cannot use interface name ${ifname} in a sysctl`);
  return `/proc/sys/${parts.map((p) => (p === "IFNAME" ? ifname : p)).join("/")}`;
}

export function writeSysctl(key: string, value: string, { ifname }: { ifname?: string } = {}): void {
  writeFileSync(sysctlPath(key, ifname), value, { flag: "r+" });
}

export function readSysctl(key: string, { ifname }: { ifname?: string } = {}): string {
  return readFileSync(sysctlPath(key, ifname), "utf8").trim();
}
