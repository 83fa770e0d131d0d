// The only file with bun:ffi: libc calls as throwing functions, descriptors owned with `using`.
import { dlopen, type Pointer, ptr, read } from "bun:ffi";
import { close, constants, openSync } from "node:fs";
import { errnoName } from "./errno.ts";

const I32 = "i32";
const U32 = "u32";
const PTR = "ptr";
const libc = dlopen("libc.so.6", {
  socket: { args: [I32, I32, I32], returns: I32 },
  bind: { args: [I32, PTR, U32], returns: I32 },
  setsockopt: { args: [I32, I32, I32, PTR, U32], returns: I32 },
  send: { args: [I32, PTR, U32, I32], returns: I32 },
  sendto: { args: [I32, PTR, U32, I32, PTR, U32], returns: I32 },
  recv: { args: [I32, PTR, U32, I32], returns: I32 },
  sendmmsg: { args: [I32, PTR, U32, I32], returns: I32 },
  recvmmsg: { args: [I32, PTR, U32, I32, "u64"], returns: I32 },
  setns: { args: [I32, I32], returns: I32 },
  flock: { args: [I32, I32], returns: I32 },
  fstatfs: { args: [I32, PTR], returns: I32 },
  ioctl: { args: [I32, "u64", PTR], returns: I32 },
  syscall: { args: ["i64", "i64", PTR, "u64"], returns: "i64" },
  close: { args: [I32], returns: I32 },
  __errno_location: { args: [], returns: PTR },
}).symbols;

/** The same function for calls of more arguments, or of others than addresses. */
const { syscall: syscallOf5 } = dlopen("libc.so.6", {
  syscall: { args: ["i64", "i64", "i64", "i64", "i64", "i64"], returns: "i64" },
}).symbols;

/** errno is per thread and its address is stable: fetched once per thread, so that nothing runs between call and load. */
const errnoAt = libc.__errno_location() as Pointer;
const EINTR = 4;
const EAGAIN = 11;
const ENETDOWN = 100;
const ENOBUFS = 105;

/** A system call failed. Branch on `code`, the errno name as in errno(3). */
class SyscallError extends Error {
  override readonly name = "SyscallError";
  readonly code: string;

  constructor(what: string, errno: number) {
    const code = errnoName(errno);
    super(`cannot ${what} (${code})`);
    this.code = code;
  }
}

/** Repeats the call while signals interrupt it. */
function call(what: string, attempt: () => number): number {
  const result = tryCall(attempt);
  if (result < 0) throw new SyscallError(what, -result);
  return result;
}

/** The same for errors that are none to the caller, and come too often to be thrown. @returns what it does, or minus the errno. */
function tryCall(attempt: () => number): number {
  for (;;) {
    const result = attempt();
    if (result >= 0) return result;
    const errno = read.i32(errnoAt, 0);
    if (errno !== EINTR) return -errno;
  }
}

const SOCK_CLOEXEC = 0o2000000;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const LOCK_EX = 2;
const LOCK_SH = 1;
const LOCK_NB = 4;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

/** A descriptor with an owner: closed once, by `using` or by `closeLater()`. */
export class Fd implements Disposable {
  #n: number;

  constructor(n: number) {
    this.#n = n;
  }

  static open(path: string, flags: string | number = "r"): Fd {
    return new Fd(openSync(path, flags));
  }

  /** For reading, without waiting: open(2) of a pipe would wait for a writer. */
  static openNow(path: string): Fd {
    return Fd.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  static socket(domain: number, type: number, protocol: number): Fd {
    return new Fd(call(`open a socket of family ${domain}`, () => libc.socket(domain, type | SOCK_CLOEXEC, protocol)));
  }

  /** @throws {Error} once closed. */
  get n(): number {
    if (this.#n < 0) throw new Error("cannot use a descriptor: it is closed");
    return this.#n;
  }

  /** The same open file under another descriptor. */
  duplicate(): Fd {
    return Fd.open(`/proc/thread-self/fd/${this.n}`);
  }

  bind(address: Uint8Array): void {
    call("bind", () => libc.bind(this.n, address, address.length));
  }

  option(level: number, name: number, value: Uint8Array | number): void {
    const bytes = typeof value === "number" ? new Uint8Array(Int32Array.of(value).buffer) : value;
    call(`set socket option ${level}/${name}`, () => libc.setsockopt(this.n, level, name, bytes, bytes.length));
  }

  /** Accepts only packets that match the program: `struct sock_filter`s, include/uapi/linux/filter.h. */
  filter(program: Buffer): void {
    const header = Buffer.alloc(16); // struct sock_fprog
    header.writeUInt16LE(program.length / 8, 0);
    header.writeBigUInt64LE(BigInt(ptr(program)), 8);
    this.option(SOL_SOCKET, SO_ATTACH_FILTER, header);
  }

  send(bytes: Uint8Array): void {
    call("send", () => libc.send(this.n, bytes, bytes.length, 0));
  }

  sendTo(bytes: Uint8Array, address: Uint8Array): void {
    call("send", () => libc.sendto(this.n, bytes, bytes.length, 0, address, address.length));
  }

  /** Like sendTo(), without waiting. @returns whether it was sent: not when the queue is full, or the link is down or has just gone. */
  trySendTo(bytes: Uint8Array, address: Uint8Array): boolean {
    try {
      call("send", () => libc.sendto(this.n, bytes, bytes.length, MSG_DONTWAIT, address, address.length));
      return true;
    } catch (error) {
      if (["EAGAIN", "ENOBUFS", "ENETDOWN", "ENXIO", "ENODEV", "EMSGSIZE"].includes((error as SyscallError).code))
        return false;
      throw error;
    }
  }

  /** @returns the datagram's real length, which may exceed `into`. */
  receive(into: Uint8Array): number {
    return call("receive", () => libc.recv(this.n, into, into.length, MSG_TRUNC));
  }

  /** Like receive(), but @returns undefined instead of waiting. */
  tryReceive(into: Uint8Array): number | undefined {
    const length = tryCall(() => libc.recv(this.n, into, into.length, MSG_TRUNC | MSG_DONTWAIT));
    if (length === -EAGAIN) return undefined;
    if (length < 0) throw new SyscallError("receive", -length);
    return length;
  }

  /** @returns false when another process or thread holds the lock and `wait` is false. */
  flock({ exclusive, wait }: { exclusive: boolean; wait: boolean }): boolean {
    try {
      call("lock", () => libc.flock(this.n, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB)));
      return true;
    } catch (error) {
      if ((error as SyscallError).code === "EAGAIN") return false;
      throw error;
    }
  }

  /** Sends as many of the `struct mmsghdr`s as it can without waiting. @returns how many were sent. */
  trySendAll(headers: Uint8Array, count: number): number {
    return this.#tryMany(() => libc.sendmmsg(this.n, headers, count, MSG_DONTWAIT));
  }

  /** Receives into `struct mmsghdr`s, without waiting. @returns how many were received. */
  tryReceiveAll(headers: Uint8Array, count: number): number {
    return this.#tryMany(() => libc.recvmmsg(this.n, headers, count, MSG_DONTWAIT, 0));
  }

  /** 0 when the queue is full or empty, or the link is down at the moment. */
  #tryMany(attempt: () => number): number {
    const count = tryCall(attempt);
    if (count === -EAGAIN || count === -ENOBUFS || count === -ENETDOWN) return 0;
    if (count < 0) throw new SyscallError("exchange packets", -count);
    return count;
  }

  /** `f_type` of fstatfs(2). */
  fileSystemType(): number {
    const buffer = Buffer.alloc(120);
    call("read the file system's type", () => libc.fstatfs(this.n, buffer));
    return Number(buffer.readBigInt64LE(0));
  }

  /** ioctl(2), with or without a structure that the kernel reads and fills. */
  ioctl(request: number, argument: Uint8Array | null = null): number {
    return call("ask a file", () => libc.ioctl(this.n, request, argument));
  }

  /** Moves the calling thread into the namespace, which is of this kind (`CLONE_NEW*`). */
  setns(kind: number): void {
    call("enter a namespace", () => libc.setns(this.n, kind));
  }

  /** Closes on a pool thread: closing a packet socket waits for an RCU grace period, 5 to 15 ms. */
  closeLater(): void {
    const n = this.n;
    this.#n = -1;
    close(n, () => {});
  }

  [Symbol.dispose](): void {
    if (this.#n < 0) return;
    libc.close(this.#n);
    this.#n = -1;
  }
}

/** Number of bpf(2), for which libc has no function. */
const NR_BPF = process.arch === "arm64" ? 280 : 321;

/** bpf(2) with a `union bpf_attr`, which the kernel reads and fills. @returns the result of the command: 0 or a descriptor. */
export function bpf(what: string, command: number, attr: Uint8Array): number {
  return call(what, () => Number(libc.syscall(NR_BPF, command, attr, attr.length)));
}

/** Address of a buffer, for structures that point to another. The buffer must stay alive until the call has returned. */
export const addressOf = (bytes: Uint8Array): bigint => BigInt(ptr(bytes));

/** Numbers of the calls for mounts without a place (kernel 5.2), the same for every architecture. */
const NR_FSOPEN = 430;
const NR_FSCONFIG = 431;
const NR_FSMOUNT = 432;
const FSOPEN_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;
/** Read-only, nothing to be executed, no devices: include/uapi/linux/mount.h. */
const MOUNT_ATTRIBUTES = 1 | 2 | 4 | 8;

/**
 * sysfs as the calling thread's network namespace shows it (`sysfs_init_fs_context`, fs/sysfs/mount.c), mounted nowhere: what is in
 * it is found below `/proc/self/fd/<n>`, and it ends with the descriptor.
 *
 * @throws `ENOSYS` before kernel 5.2; `EPERM` without CAP_SYS_ADMIN.
 */
export function openSysfs(): Fd {
  const type = Buffer.from("sysfs\0");
  const make = (what: string, nr: number, ...[a = 0n, b = 0n, c = 0n]: bigint[]) =>
    call(what, () => Number(syscallOf5(nr, a, b, c, 0n, 0n)));
  using context = new Fd(make("open sysfs", NR_FSOPEN, addressOf(type), BigInt(FSOPEN_CLOEXEC)));
  make("make sysfs", NR_FSCONFIG, BigInt(context.n), BigInt(FSCONFIG_CMD_CREATE));
  return new Fd(make("mount sysfs", NR_FSMOUNT, BigInt(context.n), BigInt(FSMOUNT_CLOEXEC), BigInt(MOUNT_ATTRIBUTES)));
}

const NR_UNSHARE = process.arch === "arm64" ? 97 : 272;

/** Gives the calling thread a new namespace of this kind. */
export function unshare(kind: number): void {
  call("make a namespace", () => Number(syscallOf5(NR_UNSHARE, BigInt(kind), 0n, 0n, 0n, 0n)));
}
