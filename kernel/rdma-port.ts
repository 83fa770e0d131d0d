import { existsSync } from "node:fs";
import { join } from "node:path";
import { entries, line } from "./sysfs-files.ts";

// `root` is sysfs as the namespace shows it whose RDMA device is looked at. What is not there is undefined or empty; nothing throws.

/** A port of an RDMA device. */
export interface RdmaPort {
  readonly number: number;
  /** `ACTIVE`, `DOWN`, `INIT`, as in `rdma link`. */
  readonly state: string;
  /** Gb/s. */
  readonly rate?: number;
}

/** An entry of a port's GID table. */
export interface Gid {
  readonly index: number;
  /** As sysfs and `ibv_devinfo -v` write it, eight groups of four digits. */
  readonly gid: string;
}

const portsOf = (root: string, device: string): string => join(root, "class/infiniband", device, "ports");

/** The first one: an Ethernet device has no other. Undefined also while the device is in another namespace. */
export function rdmaPortOf(root: string, device: string): RdmaPort | undefined {
  const dir = portsOf(root, device);
  const [number] = rdmaPortNumbers(root, device);
  if (number === undefined) return undefined;
  const rate = /^([\d.]+) Gb\/sec/.exec(line(join(dir, `${number}`, "rate")) ?? "")?.[1];
  return {
    number,
    state: /^\d+: (\w+)/.exec(line(join(dir, `${number}`, "state")) ?? "")?.[1] ?? "unknown",
    ...(rate !== undefined && { rate: Number(rate) }),
  };
}

/** In order. */
const rdmaPortNumbers = (root: string, device: string): number[] =>
  entries(portsOf(root, device))
    .map(Number)
    .filter(Number.isInteger)
    .sort((a, b) => a - b);

/** The GID of an address with RoCE v2, whose packets are routed by it; the table may have the same one with v1 beside it. */
export function roceGidOf(root: string, device: string, port: number, address: string): Gid | undefined {
  const dir = join(portsOf(root, device), `${port}`);
  const wanted = gidOf(address);
  for (let index = 0; ; index++) {
    const file = join(dir, "gids", `${index}`);
    const gid = line(file);
    if (gid === undefined && !existsSync(file)) return undefined;
    if (gid === wanted && line(join(dir, "gid_attrs/types", `${index}`)) === "RoCE v2") return { index, gid };
  }
}

/** The GIDs of entries that are not empty: for who wants to know why one is missing. */
export function gidsIn(root: string, device: string, port: number): string[] {
  const dir = join(portsOf(root, device), `${port}`, "gids");
  const all = entries(dir).map((index) => line(join(dir, index)) ?? "");
  return all.filter((gid) => /[1-9a-f]/.test(gid));
}

/** The GID that the kernel makes of an address: itself, of IPv4 mapped (`ipv6_addr_set_v4mapped`, drivers/infiniband/core/roce_gid_mgmt.c). */
export function gidOf(address: string): string {
  if (!address.includes(":")) {
    const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
    return `0000:0000:0000:0000:0000:ffff:${bytes[0]}${bytes[1]}:${bytes[2]}${bytes[3]}`;
  }
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array<string>(tail === undefined ? 0 : 8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].map((group) => group.toLowerCase().padStart(4, "0")).join(":");
}

/** What a RoCE device leaves for headers: GRH, UDP, BTH, XRC, atomic, ICRC. */
const ROCE_HEADERS = 40 + 8 + 12 + 4 + 28 + 4;

/** The active MTU of a RoCE device, as the kernel takes it from its link's (`iboe_get_mtu`, include/rdma/ib_addr.h); undefined: too small. */
export const roceMtuOf = (mtu: number): number | undefined =>
  [4096, 2048, 1024, 512, 256].find((one) => one <= mtu - ROCE_HEADERS);
