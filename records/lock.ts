import { existsSync, fstatSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isMissing } from "../kernel/errno.ts";
import { Fd } from "../kernel/syscall.ts";
import { makeDirectory } from "./durable.ts";
import { LockTimeout } from "./failure.ts";

/** A held lock. Disposing it deletes its file and lets the next one in. */
export class Lock implements Disposable {
  readonly #fd: Fd;
  readonly #file: string;

  constructor(fd: Fd, file: string) {
    this.#fd = fd;
    this.#file = file;
  }

  /** Deletes the file while the lock is held: waiters notice by the inode and open the new one. */
  [Symbol.dispose](): void {
    rmSync(this.#file, { force: true });
    this.#fd[Symbol.dispose]();
  }
}

/**
 * Advisory locks between all processes and threads on a node: flock(2) on files below `<runDir>/locks`. The kernel
 * releases them when their holder dies, however it dies.
 */
export class Locks {
  readonly #dir: string;

  constructor(runDir: string) {
    this.#dir = join(runDir, "locks");
  }

  /** @returns undefined when another holder has it. */
  tryAcquire(name: string): Lock | undefined {
    const file = join(this.#dir, name);
    for (;;) {
      const fd = this.#open(file);
      let held = false;
      try {
        if (!fd.flock({ exclusive: true, wait: false })) return undefined;
        held = isSameFile(fd, file);
      } finally {
        if (!held) fd[Symbol.dispose]();
      }
      if (held) return new Lock(fd, file);
    }
  }

  /**
   * Waits without blocking the thread.
   *
   * @throws {LockTimeout} after `timeoutMs`; the reason of `signal` when that aborts.
   */
  async acquire(name: string, what: string, timeoutMs: number, signal?: AbortSignal): Promise<Lock> {
    const end = performance.now() + timeoutMs;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 20)) {
      const lock = this.tryAcquire(name);
      if (lock) return lock;
      if (performance.now() > end)
        throw new LockTimeout(`cannot lock ${what}: another call has held it for ${timeoutMs} ms`);
      await sleep(pauseMs);
      signal?.throwIfAborted();
    }
  }

  /** Deletes the files of locks that nobody holds: a killed holder leaves its file behind. */
  sweep(): void {
    if (!existsSync(this.#dir)) return;
    for (const name of readdirSync(this.#dir)) this.tryAcquire(name)?.[Symbol.dispose]();
  }

  #open(file: string): Fd {
    try {
      return Fd.open(file, "a");
    } catch (error) {
      if (!isMissing(error)) throw error;
      makeDirectory(this.#dir); // addresses may be kept beside it
      return Fd.open(file, "a");
    }
  }
}

function isSameFile(fd: Fd, file: string): boolean {
  try {
    return fstatSync(fd.n).ino === statSync(file).ino;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
