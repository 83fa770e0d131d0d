import { Fd } from "../syscall.ts";
import {
  decodeReplies,
  encodeMessages,
  errorOf,
  type Message,
  type NetlinkConnection,
  NetlinkError,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type Reply,
} from "./message.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** A thread has one, since every use is synchronous. Larger than any datagram that the kernel sends. */
const inbox = Buffer.alloc(1 << 18);

/** A blocking netlink socket in the network namespace in which it was opened, wherever the thread goes later. */
export class NetlinkSocket implements NetlinkConnection, Disposable {
  readonly #fd: Fd;
  #seq = 1;

  constructor({ protocol = 0, timeoutMs = 10_000 }: { protocol?: number; timeoutMs?: number } = {}) {
    this.#fd = Fd.socket(AF_NETLINK, SOCK_RAW, protocol);
    const time = Buffer.alloc(16);
    time.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1000)), 0);
    time.writeBigInt64LE(BigInt((timeoutMs % 1000) * 1000), 8);
    this.#fd.option(SOL_SOCKET, SO_RCVTIMEO, time);
    this.#fd.option(SOL_NETLINK, NETLINK_CAP_ACK, 1);
    this.#fd.option(SOL_NETLINK, NETLINK_EXT_ACK, 1);
    if (protocol === 0) this.#fd.option(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  }

  request(message: Message): Buffer | undefined {
    return this.batch([message])[0];
  }

  batch(messages: readonly Message[]): (Buffer | undefined)[] {
    const first = this.#send(messages, 0);
    const answers: (Buffer | undefined)[] = [];
    let failure: NetlinkError | undefined;
    for (let left = messages.length; left > 0; )
      for (const reply of this.#receive()) {
        const message = messages[reply.seq - first];
        if (!message) continue; // a late answer to a request that timed out
        if (reply.type === NLMSG_ERROR) failure ??= errorOf(reply, message.what);
        else answers[reply.seq - first] = Buffer.from(reply.body);
        if (reply.type === NLMSG_ERROR || message.get) left--;
      }
    if (failure) throw failure;
    return answers;
  }

  dump(message: Message): Buffer[] {
    const first = this.#send([{ ...message, get: true }], NLM_F_DUMP);
    const bodies: Buffer[] = [];
    for (;;)
      for (const reply of this.#receive()) {
        if (reply.seq !== first) continue;
        if (reply.flags & NLM_F_DUMP_INTR)
          throw new NetlinkError(message.what, "EAGAIN", "the dump was interrupted by a change");
        const failure =
          reply.type === NLMSG_ERROR || (reply.type === NLMSG_DONE && reply.body.length >= 4)
            ? errorOf(reply, message.what)
            : undefined;
        if (failure) throw failure;
        if (reply.type === NLMSG_DONE) return bodies;
        bodies.push(Buffer.from(reply.body));
      }
  }

  #send(messages: readonly Message[], flags: number): number {
    const first = this.#seq;
    this.#seq += messages.length;
    this.#fd.send(encodeMessages(messages, first, flags));
    return first;
  }

  #receive(): Generator<Reply> {
    const length = this.#fd.receive(inbox);
    if (length > inbox.length) throw new Error(`cannot read a netlink datagram: it has ${length} bytes`);
    return decodeReplies(inbox.subarray(0, length));
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}
