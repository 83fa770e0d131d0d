import { attributes, readText, readU32, text, u8, u32 } from "./netlink/attribute.ts";
import type { Message, NetlinkConnection } from "./netlink/message.ts";
import type { Fd } from "./syscall.ts";

/** include/uapi/rdma/rdma_netlink.h. */
export const NETLINK_RDMA = 20;
const RDMA_NL_NLDEV = 5;
const RDMA_NLDEV_CMD_GET = 1;
const RDMA_NLDEV_CMD_SET = 2;
const RDMA_NLDEV_CMD_SYS_GET = 6;
const RDMA_NLDEV_CMD_SYS_SET = 7;
const RDMA_NLDEV_ATTR_DEV_INDEX = 1;
const RDMA_NLDEV_ATTR_DEV_NAME = 2;
const RDMA_NLDEV_SYS_ATTR_NETNS_MODE = 66;
const RDMA_NLDEV_NET_NS_FD = 68;
const NETNS_MODE_EXCLUSIVE = 0;
const NETNS_MODE_SHARED = 1;
const type = (command: number): number => (RDMA_NL_NLDEV << 10) + command;

/** An RDMA device that is visible in a network namespace. */
export interface RdmaDevice {
  readonly index: number;
  readonly name: string;
}

/** `exclusive`: an RDMA device belongs to one network namespace; `shared`: every namespace sees all. */
export type RdmaNetnsMode = "shared" | "exclusive";

export function getRdmaNetnsMode(): Message {
  return {
    what: "read the RDMA namespace mode",
    type: type(RDMA_NLDEV_CMD_SYS_GET),
    get: true,
    body: new Uint8Array(),
  };
}

/** Body of the answer. A kernel before 5.3 does not say: it has only the shared mode. */
function parseRdmaNetnsMode(body: Buffer): RdmaNetnsMode {
  const mode = attributes(body).find((a) => a.type === RDMA_NLDEV_SYS_ATTR_NETNS_MODE);
  return mode?.data[0] === NETNS_MODE_EXCLUSIVE ? "exclusive" : "shared";
}

export const rdmaNetnsMode = (rdma: NetlinkConnection): RdmaNetnsMode =>
  rdma.get({ message: getRdmaNetnsMode(), parse: parseRdmaNetnsMode });

/** Refused with `EBUSY` while any network namespace but the initial one exists. */
export function setRdmaNetnsMode(mode: RdmaNetnsMode): Message {
  const value = mode === "exclusive" ? NETNS_MODE_EXCLUSIVE : NETNS_MODE_SHARED;
  return {
    what: `set the RDMA namespace mode to ${mode}`,
    type: type(RDMA_NLDEV_CMD_SYS_SET),
    body: u8(RDMA_NLDEV_SYS_ATTR_NETNS_MODE, value),
  };
}

/** For dump(): the devices visible in the socket's namespace. */
export function getRdmaDevices(): Message {
  return { what: "list RDMA devices", type: type(RDMA_NLDEV_CMD_GET), body: new Uint8Array() };
}

/** @throws {Error} when index or name is missing. */
export function parseRdmaDevice(body: Buffer): RdmaDevice {
  const found = attributes(body);
  const index = found.find((a) => a.type === RDMA_NLDEV_ATTR_DEV_INDEX);
  const name = found.find((a) => a.type === RDMA_NLDEV_ATTR_DEV_NAME);
  if (!index || !name) throw new Error("cannot read an RDMA device: it has no index or no name");
  return { index: readU32(index), name: readText(name) };
}

export const listRdmaDevices = (rdma: NetlinkConnection): RdmaDevice[] =>
  rdma.dump(getRdmaDevices()).map(parseRdmaDevice);

/**
 * Only in exclusive mode; refused with `EOPNOTSUPP` by drivers that cannot (soft-RoCE before 7.3). Since 7.3 names are
 * per namespace: `EEXIST` when the name is taken there.
 *
 * @param as its name there; a kernel before 7.3 then only renames it, and a second request moves it.
 */
export function moveRdmaDevice(index: number, netns: Fd, what: string, as?: string): Message {
  const name = as === undefined ? [] : [text(RDMA_NLDEV_ATTR_DEV_NAME, as)];
  return change(index, what, ...name, u32(RDMA_NLDEV_NET_NS_FD, netns.n));
}

/** Refused with `EEXIST` when the name is taken in the namespace. */
export function renameRdmaDevice(index: number, name: string): Message {
  return change(index, `rename RDMA device ${index} to ${name}`, text(RDMA_NLDEV_ATTR_DEV_NAME, name));
}

function change(index: number, what: string, ...attributes: Buffer[]): Message {
  const body = Buffer.concat([u32(RDMA_NLDEV_ATTR_DEV_INDEX, index), ...attributes]);
  return { what, type: type(RDMA_NLDEV_CMD_SET), body };
}
