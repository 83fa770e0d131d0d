import { addressOf, type Fd } from "./syscall.ts";

/** Sizes of `struct mmsghdr` and `struct iovec`, include/linux/socket.h, on 64 bits. */
const MMSGHDR = 64;
const IOVEC = 16;

/**
 * Datagrams that are sent or received in one system call, in one piece of memory that is laid out once: no object for each,
 * and what the kernel is given pointers to lives as long as this object.
 */
export class Datagrams {
  readonly count: number;
  /** All of them, `size` bytes each. */
  readonly data: Buffer;
  readonly #headers: Buffer;

  /**
   * @param size bytes of each; longer datagrams are truncated.
   * @param to the destination of each, `struct sockaddr_*` of one length; empty for receiving.
   */
  constructor(count: number, size: number, to: readonly Buffer[] = []) {
    this.count = count;
    const names = Buffer.concat(to);
    const vectorsAt = count * MMSGHDR;
    const namesAt = vectorsAt + count * IOVEC;
    const dataAt = namesAt + names.length;
    const memory = Buffer.from(new ArrayBuffer(Math.max(1, dataAt + count * size))); // small ones of Buffer.alloc() may move
    const base = addressOf(memory);
    names.copy(memory, namesAt);
    for (let i = 0; i < count; i++) {
      const [header, vector] = [i * MMSGHDR, vectorsAt + i * IOVEC];
      memory.writeBigUInt64LE(base + BigInt(dataAt + i * size), vector);
      memory.writeBigUInt64LE(BigInt(size), vector + 8);
      memory.writeBigUInt64LE(base + BigInt(vector), header + 16);
      memory.writeBigUInt64LE(1n, header + 24);
      const { length } = to[i] ?? names;
      if (to[i]) memory.writeBigUInt64LE(base + BigInt(namesAt + i * length), header);
      memory.writeUInt32LE(to[i] ? length : 0, header + 8);
    }
    this.#headers = memory;
    this.data = memory.subarray(dataAt);
  }

  /** Sends `count` datagrams, starting with number `first`. @returns how many were sent: the queue has no room for the rest. */
  send(socket: Fd, first: number, count: number): number {
    return socket.trySendAll(this.#headers.subarray(first * MMSGHDR), count);
  }

  /** Takes what has arrived, from number 0 on, in place of what was there. Does not wait. @returns how many. */
  receive(socket: Fd): number {
    return socket.tryReceiveAll(this.#headers, this.count);
  }

  /** Bytes of one that was received; it may be cut. */
  lengthOf(number: number): number {
    return this.#headers.readUInt32LE(number * MMSGHDR + 56);
  }
}
