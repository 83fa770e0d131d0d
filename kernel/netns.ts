import { fstatSync } from "node:fs";
import { codeOf } from "./errno.ts";
import { Fd, unshare } from "./syscall.ts";

const CLONE_NEWNET = 0x40000000;
/** File system of namespace files, include/uapi/linux/magic.h. */
const NSFS_MAGIC = 0x6e736673;
/** The kind of a namespace, include/uapi/linux/nsfs.h (kernel 4.11). */
const NS_GET_NSTYPE = 0xb703;

/** The path exists but is not a network namespace. */
class NotNetnsError extends Error {
  override readonly name = "NotNetnsError";
  readonly code = "ENOTNETNS";
}

/** @throws `ENOENT` and the like from open(2); {@link NotNetnsError} for any other file, including other kinds of namespace. */
export function openNetns(path: string): Fd {
  const fd = Fd.openNow(path);
  if (isNetns(fd)) return fd;
  fd[Symbol.dispose]();
  throw new NotNetnsError(`cannot open ${path}: it is not a network namespace (ENOTNETNS)`);
}

/** The file system is checked first: a device might take the ioctl for a command. */
const isNetns = (fd: Fd): boolean => fd.fileSystemType() === NSFS_MAGIC && fd.ioctl(NS_GET_NSTYPE) === CLONE_NEWNET;

/** Inode of a namespace: its identity as long as it exists. */
export function netnsInode(netns: Fd): number {
  return fstatSync(netns.n).ino;
}

let home: Fd | undefined;

/** The namespace this thread was in when it first asked: `/proc/self` would give the main thread's. */
export function hostNetns(): Fd {
  home ??= Fd.open("/proc/thread-self/ns/net");
  return home;
}

export const isOwnNetns = (netns: Fd): boolean => netnsInode(netns) === netnsInode(hostNetns());

type Sync<T> = T extends PromiseLike<unknown> ? never : T;
let isAway = false;

/**
 * Runs `fn` with this thread in another network namespace. Its type says that `fn` must not await: other work of the
 * thread would run in that namespace, and the rest of `fn` outside it. If switching back fails, the process ends as if
 * killed (kill -9), for the journal to repair: no part of it may continue in a pod's namespace.
 *
 * @throws {Error} inside another `inNetns`, which would return to the wrong one.
 */
export function inNetns<T>(target: Fd, fn: () => Sync<T>): Sync<T> {
  if (isAway) throw new Error("cannot enter a network namespace from within another");
  const back = hostNetns();
  target.setns(CLONE_NEWNET);
  isAway = true;
  try {
    return fn();
  } finally {
    goBack(back);
    isAway = false;
  }
}

/** A network namespace that has no name: it ends with the descriptor, and so with this process, however that ends. */
export function makeNetns(): Fd {
  if (isAway) throw new Error("cannot make a network namespace from within another");
  const back = hostNetns();
  unshare(CLONE_NEWNET);
  isAway = true;
  try {
    return Fd.open("/proc/thread-self/ns/net");
  } finally {
    goBack(back);
    isAway = false;
  }
}

const TRIES = 100;

/** Only lack of memory can prevent it: the caller's cgroup may be very small. */
function goBack(home: Fd): void {
  for (let left = TRIES; ; left--)
    try {
      home.setns(CLONE_NEWNET);
      return;
    } catch (error) {
      if (codeOf(error) === "ENOMEM" && left > 1) continue;
      console.error(`railnet: cannot leave a pod's network namespace: ${error}`);
      process.kill(process.pid, "SIGKILL");
    }
}
