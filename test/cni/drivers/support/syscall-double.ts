// In the place of kernel/syscall.ts: descriptors of files, of the double's namespaces, and of sockets in them.
import { closeSync, fstatSync, openSync } from "node:fs";
import { kernel } from "./kernel.ts";

const locks = new Map<number, Fd>();
const AF_NETLINK = 16;
const NSFS_MAGIC = 0x6e736673;
const CLONE_NEWNET = 0x40000000;

/** The product asks with these what the double does not have. */
export const addressOf = (): bigint => 0n;
export const bpf = (): never => {
  throw new SyscallError("use BPF", "EPERM");
};

export const openSysfs = (): never => {
  throw new SyscallError("open sysfs", "ENOSYS");
};

export const unshare = (): never => {
  throw new SyscallError("make a namespace", "ENOSYS");
};

export class SyscallError extends Error {
  readonly code: string;
  constructor(what: string, code: string) {
    super(`cannot ${what} (${code})`);
    this.code = code;
  }
}

export class Fd implements Disposable {
  #n: number;
  readonly #socket: { send(datagram: Buffer): void; receive(): Buffer } | undefined;

  constructor(n: number, socket?: { send(datagram: Buffer): void; receive(): Buffer }) {
    this.#n = n;
    this.#socket = socket;
  }

  static open(path: string, flags: string | number = "r"): Fd {
    return new Fd(openSync(path === "/proc/thread-self/ns/net" ? kernel().here.path : path, flags));
  }

  static openNow(path: string): Fd {
    return Fd.open(path);
  }

  static socket(domain: number, _type: number, protocol: number): Fd {
    const fd = openSync("/dev/null", "r");
    return new Fd(
      fd,
      domain === AF_NETLINK ? kernel().socket(protocol) : { send: () => {}, receive: () => Buffer.alloc(0) },
    );
  }

  get n(): number {
    if (this.#n < 0) throw new Error("cannot use a descriptor: it is closed");
    return this.#n;
  }

  duplicate(): Fd {
    return Fd.open(`/proc/self/fd/${this.n}`);
  }

  bind(): void {}
  option(): void {}
  filter(): void {}
  sendTo(): void {}

  send(bytes: Buffer): void {
    this.#socket!.send(Buffer.from(bytes));
  }

  receive(into: Uint8Array): number {
    const datagram = this.#socket!.receive();
    into.set(datagram);
    return datagram.length;
  }

  tryReceive(): number | undefined {
    return undefined;
  }

  /** Of this process alone: who holds a file's lock. */
  flock(): boolean {
    const inode = fstatSync(this.n).ino;
    const holder = locks.get(inode);
    if (holder && holder !== this && holder.#n >= 0) return false;
    locks.set(inode, this);
    return true;
  }

  fileSystemType(): number {
    return kernel().isNamespace(this.n) ? NSFS_MAGIC : 0;
  }

  /** Links of the double have no ethtool. */
  ioctl(): number {
    if (this.#socket) throw new SyscallError("ask a file", "EOPNOTSUPP");
    return CLONE_NEWNET;
  }

  setns(): void {
    kernel().enter(this.n);
  }

  closeLater(): void {
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.#n < 0) return;
    closeSync(this.#n);
    this.#n = -1;
  }
}
