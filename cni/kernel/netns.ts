import { statSync } from "node:fs";
import { Fd } from "./syscall.ts";

const CLONE_NEWNET = 0x40000000;

/** File systems of namespace files, include/uapi/linux/magic.h. */
const NSFS_MAGIC = 0x6e736673;
const PROC_SUPER_MAGIC = 0x9fa0;

/** The path is there and is no network namespace. */
export class NotNetnsError extends Error {
  override readonly name = "NotNetnsError";
  readonly code = "ENOTNETNS";
}

/** @throws `ENOENT` and the like from open(2); {@link NotNetnsError} for any other file. */
export function openNetns(path: string): Fd {
  const fd = Fd.open(path);
  if ([NSFS_MAGIC, PROC_SUPER_MAGIC].includes(fd.fileSystemType())) return fd;
  fd[Symbol.dispose]();
  throw new NotNetnsError(`cannot open ${path}: it is no network namespace (ENOTNETNS)`);
}

/** Inode of a namespace: its identity as long as it lives. */
export function netnsInode(netns: Fd): number {
  return statSync(`/proc/thread-self/fd/${netns.n}`).ino;
}

let home: Fd | undefined;

/** The namespace in which this thread was when it first asked: `/proc/self` would be the main thread's. */
export function hostNetns(): Fd {
  home ??= Fd.open("/proc/thread-self/ns/net");
  return home;
}

export const isOwnNetns = (netns: Fd): boolean => netnsInode(netns) === netnsInode(hostNetns());

type Sync<T> = T extends PromiseLike<unknown> ? never : T;

/**
 * Runs `fn` with this thread in another network namespace. `fn` must not await, which its type says: other work of the
 * thread would run in that namespace, and the rest of `fn` outside it. If switching back fails, the thread must end.
 */
export function inNetns<T>(target: Fd, fn: () => Sync<T>): Sync<T> {
  const back = hostNetns();
  target.setns(CLONE_NEWNET);
  try {
    return fn();
  } finally {
    back.setns(CLONE_NEWNET);
  }
}
