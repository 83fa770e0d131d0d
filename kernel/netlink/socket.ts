import { Fd } from "../syscall.ts";
import { Connection } from "./connection.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const NETLINK_ROUTE = 0;

/** One per thread, since every use is synchronous. Larger than any datagram that the kernel sends. */
const inbox = Buffer.alloc(1 << 18);

/** A blocking netlink socket in the network namespace in which it was opened, wherever the thread goes later. */
export class NetlinkSocket extends Connection implements Disposable {
  readonly #fd: Fd;

  constructor({ protocol = NETLINK_ROUTE, timeoutMs = 10_000 }: { protocol?: number; timeoutMs?: number } = {}) {
    const fd = open(protocol, timeoutMs);
    super({ protocol, send: (datagram) => fd.send(datagram), receive: () => receive(fd) });
    this.#fd = fd;
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

function open(protocol: number, timeoutMs: number): Fd {
  const fd = Fd.socket(AF_NETLINK, SOCK_RAW, protocol);
  try {
    fd.option(SOL_SOCKET, SO_RCVTIMEO, timeval(timeoutMs));
    fd.option(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    fd.option(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    if (protocol === NETLINK_ROUTE) fd.option(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    return fd;
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

function receive(fd: Fd): Buffer {
  const length = fd.receive(inbox);
  if (length > inbox.length) throw new Error(`cannot read a netlink datagram: it has ${length} bytes`);
  return inbox.subarray(0, length);
}

function timeval(ms: number): Buffer {
  const time = Buffer.alloc(16);
  time.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 0);
  time.writeBigInt64LE(BigInt((ms % 1000) * 1000), 8);
  return time;
}
