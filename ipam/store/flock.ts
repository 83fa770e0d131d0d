import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { isMissing } from "../../kernel/errno.ts";
import type { AddressLock } from "./address-lock.ts";

/** No call waits longer for another one. */
const WAIT_MS = 20_000;

/** The lock is on descriptor 9, which `cat` inherits: it ends with its standard input, so with this process. */
const SCRIPT = 'exec 9>>"$1" && flock -x 9 && echo locked && exec cat > /dev/null';

/**
 * Locks on files in `<dir>/locks` by flock(1), from util-linux or busybox, for programs without flock(2), such as those
 * on Node.js; each costs a few milliseconds. The kernel releases them when their holder dies, however it dies, and they
 * exclude Railnet's own processes, too.
 *
 * @throws {Error} from a lock: if there is no flock(1), if another call has it for 20 s, if `signal` aborts.
 */
export function flockIn(dir: string): AddressLock {
  return async (name, what, signal) => {
    const file = join(dir, "locks", name);
    fs.mkdirSync(join(dir, "locks"), { recursive: true, mode: 0o700 });
    for (;;) {
      const holder = await lock(file, what, signal);
      if (isSame(holder, file)) return { [Symbol.dispose]: () => unlock(holder, file) };
      end(holder); // the previous holder has deleted the file that we wait for
    }
  };
}

async function lock(file: string, what: string, signal?: AbortSignal): Promise<ChildProcess> {
  const limit = AbortSignal.timeout(WAIT_MS);
  const child = spawn("sh", ["-c", SCRIPT, "sh", file], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  child.stdin.on("error", () => {}); // it has gone: its end is awaited
  const stop = () => end(child);
  for (const one of [limit, signal]) one?.addEventListener("abort", stop);
  const locked = new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("error", reject);
    child.once("close", () => reject(refused(what, said, limit)));
  });
  try {
    if (signal?.aborted) stop();
    await locked;
    return child;
  } catch (error) {
    end(child);
    signal?.throwIfAborted();
    throw error;
  } finally {
    for (const one of [limit, signal]) one?.removeEventListener("abort", stop);
    child.unref();
  }
}

function refused(what: string, said: string, limit: AbortSignal): Error {
  const why = limit.aborted
    ? `another call has held it for ${WAIT_MS} ms`
    : `${said.trim() || "flock(1) failed"}; install util-linux, or give DirectoryStore a lock of your own`;
  return new Error(`cannot lock ${what}: ${why}`);
}

/** Like the locks of Railnet's executables: the file is deleted while its lock is held. */
function unlock(holder: ChildProcess, file: string): void {
  fs.rmSync(file, { force: true });
  end(holder);
}

/** Kills it: nobody should wait for a lock that is given back. */
function end(holder: ChildProcess): void {
  holder.kill("SIGKILL");
  for (const stream of holder.stdio) stream?.destroy();
}

function isSame({ pid }: ChildProcess, file: string): boolean {
  try {
    return fs.statSync(`/proc/${pid}/fd/9`).ino === fs.statSync(file).ino;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
