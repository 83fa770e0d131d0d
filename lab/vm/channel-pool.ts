import { createHash } from "node:crypto";
import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Channel, type Command, type Reply } from "./channel.ts";

interface Held {
  readonly channel: Channel;
  readonly claim: Server;
  idleTimer?: NodeJS.Timeout;
}

/**
 * A machine's channels, shared fairly with other processes: a channel is claimed when a command needs it, kept while
 * commands follow each other, and given back after a moment without. A process that dies gives its channels back too.
 */
export class ChannelPool {
  readonly #paths: readonly string[];
  readonly #taken = new Set<string>();
  readonly #idle: (Held & { path: string })[] = [];

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** Runs on the first free channel; waits while all are busy. `openTimeoutMs` is how long the guest may take to answer at all. */
  async run(command: Command, openTimeoutMs = 60_000): Promise<Reply> {
    const held = await this.#acquire(openTimeoutMs);
    try {
      return await held.channel.run(command);
    } finally {
      this.#release(held);
    }
  }

  close(): void {
    for (const held of this.#idle.splice(0)) this.#drop(held);
  }

  async #acquire(openTimeoutMs: number): Promise<Held & { path: string }> {
    for (;;) {
      const idle = this.#idle.pop();
      clearTimeout(idle?.idleTimer);
      if (idle?.channel.isOpen) return idle;
      if (idle) this.#drop(idle);
      const held = await this.#claimAny(openTimeoutMs);
      if (held) return held;
      await sleep(BUSY_POLL_MS);
    }
  }

  async #claimAny(openTimeoutMs: number): Promise<(Held & { path: string }) | undefined> {
    for (const path of this.#paths) {
      if (this.#taken.has(path)) continue;
      this.#taken.add(path);
      const claim = await claimPath(path);
      if (claim) {
        try {
          return { path, claim, channel: await Channel.open(path, openTimeoutMs) };
        } catch (error) {
          claim.close();
          this.#taken.delete(path);
          throw error;
        }
      }
      this.#taken.delete(path);
    }
    return undefined;
  }

  #release(held: Held & { path: string }): void {
    if (!held.channel.isOpen) {
      this.#drop(held);
      return;
    }
    this.#idle.push(held);
    held.idleTimer = setTimeout(() => {
      this.#idle.splice(this.#idle.indexOf(held), 1);
      this.#drop(held);
    }, IDLE_MS).unref();
  }

  #drop(held: Held & { path: string }): void {
    clearTimeout(held.idleTimer);
    held.channel.close();
    held.claim.close();
    this.#taken.delete(held.path);
  }
}

/**
 * No period at which tests ask again (200, 500, 1000 ms): a channel that is closed and opened in the same moment may lose
 * the new session's first command, since the guest's kernel tells of the closing after what came next.
 */
const IDLE_MS = 700;
const BUSY_POLL_MS = 2;

/** Claims a channel among all processes of this host by an abstract unix socket, which goes away with the process; undefined: another has it. */
function claimPath(path: string): Promise<Server | undefined> {
  const name = createHash("sha256").update(path).digest("hex").slice(0, 32);
  return new Promise((resolve, reject) => {
    const server = createServer().unref();
    server.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(`\0railnet-vm-${name}`, () => resolve(server));
  });
}
