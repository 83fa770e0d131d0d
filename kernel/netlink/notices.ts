import { codeOf } from "../errno.ts";
import { Fd } from "../syscall.ts";
import { decodeReplies } from "./message.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const BUFFER_BYTES = 1 << 20;
/** Groups of rtnetlink as bits, include/uapi/linux/rtnetlink.h: links, and IPv4 addresses. */
const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTM_NEWLINK = 16;

/** One datagram; notifications are far smaller. */
const inbox = Buffer.alloc(1 << 16);

/** What has changed in a network namespace since it was last asked. */
export interface Noticed {
  /** Bodies of RTM_NEWLINK messages, in order. */
  readonly links: readonly Buffer[];
  /** Addresses have changed, links are gone, or notifications were lost: the state has to be read again. */
  readonly isUnclear: boolean;
}

/** Notifications about links and IPv4 addresses of the network namespace in which it was created. */
export class LinkNotices implements Disposable {
  readonly #socket: Fd;

  constructor() {
    this.#socket = Fd.socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    const address = Buffer.alloc(12); // struct sockaddr_nl
    address.writeUInt16LE(AF_NETLINK, 0);
    address.writeUInt32LE(RTMGRP_LINK | RTMGRP_IPV4_IFADDR, 8);
    try {
      this.#socket.option(SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
      this.#socket.bind(address);
    } catch (error) {
      this.#socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Does not wait. */
  take(): Noticed {
    const links: Buffer[] = [];
    let isUnclear = false;
    for (;;) {
      let length: number | undefined;
      try {
        length = this.#socket.tryReceive(inbox);
      } catch (error) {
        if (codeOf(error) !== "ENOBUFS") throw error;
        isUnclear = true; // the kernel had to drop some
        continue;
      }
      if (length === undefined) return { links, isUnclear };
      if (length > inbox.length) isUnclear = true;
      else
        for (const { type, body } of decodeReplies(inbox.subarray(0, length)))
          if (type === RTM_NEWLINK) links.push(Buffer.from(body));
          else isUnclear = true;
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
