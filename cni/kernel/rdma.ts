import { attributes, readText, readU32, u32 } from "./netlink/attribute.ts";
import type { Message, NetlinkConnection } from "./netlink/message.ts";
import type { Fd } from "./syscall.ts";

/** include/uapi/rdma/rdma_netlink.h. */
export const NETLINK_RDMA = 20;
const RDMA_NL_NLDEV = 5;
const RDMA_NLDEV_CMD_GET = 1;
const RDMA_NLDEV_CMD_SET = 2;
const RDMA_NLDEV_CMD_SYS_GET = 6;
const RDMA_NLDEV_ATTR_DEV_INDEX = 1;
const RDMA_NLDEV_ATTR_DEV_NAME = 2;
const RDMA_NLDEV_SYS_ATTR_NETNS_MODE = 66;
const RDMA_NLDEV_NET_NS_FD = 68;
const type = (command: number): number => (RDMA_NL_NLDEV << 10) + command;

/** An RDMA device that is visible in a network namespace. */
export interface RdmaDevice {
  readonly index: number;
  readonly name: string;
}

/** `exclusive`: an RDMA device belongs to one network namespace; `shared`: every namespace sees all. */
export function rdmaNetnsMode(rdma: NetlinkConnection): "shared" | "exclusive" {
  const body = rdma.request({
    what: "read the RDMA namespace mode",
    type: type(RDMA_NLDEV_CMD_SYS_GET),
    get: true,
    body: new Uint8Array(),
  })!;
  const mode = [...attributes(body)].find((a) => a.type === RDMA_NLDEV_SYS_ATTR_NETNS_MODE);
  return mode?.data[0] === 0 ? "exclusive" : "shared";
}

export function listRdmaDevices(rdma: NetlinkConnection): RdmaDevice[] {
  return rdma
    .dump({ what: "list RDMA devices", type: type(RDMA_NLDEV_CMD_GET), body: new Uint8Array() })
    .map((body) => {
      const found = [...attributes(body)];
      const index = found.find((a) => a.type === RDMA_NLDEV_ATTR_DEV_INDEX);
      const name = found.find((a) => a.type === RDMA_NLDEV_ATTR_DEV_NAME);
      return { index: index ? readU32(index) : -1, name: name ? readText(name) : "" };
    });
}

/** Only in exclusive mode; refused with `EOPNOTSUPP` by drivers that cannot (soft-RoCE). */
export function moveRdmaDevice(index: number, netns: Fd, what: string): Message {
  const body = Buffer.concat([u32(RDMA_NLDEV_ATTR_DEV_INDEX, index), u32(RDMA_NLDEV_NET_NS_FD, netns.n)]);
  return { what, type: type(RDMA_NLDEV_CMD_SET), body };
}
