import { mkdirSync, renameSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import type { Log } from "../cni/host.ts";
import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";
import { encodeReply, RequestReader } from "./frames.ts";

/** Answers one request. `signal` aborts when the caller is gone. Never rejects. */
export type Handler = (request: CniRequest, signal: AbortSignal) => Promise<CniResponse>;

/** How long a connection may say nothing when the agent is to stop: a shim sends its request at once. */
const SILENCE_MS = 1_000;

/** The agent's socket: one request and one reply a connection. */
export class AgentServer {
  readonly #server: Server;
  readonly #running = new Set<Promise<void>>();
  /** Connections whose request has not come yet. */
  readonly #silent = new Set<Socket>();

  constructor(handler: Handler, log: Log) {
    this.#server = createServer((socket) => {
      this.#silent.add(socket);
      const heard: Handler = (request, signal) => {
        this.#silent.delete(socket);
        return handler(request, signal);
      };
      const done = serve(socket, heard, log).finally(() => this.#silent.delete(socket));
      this.#running.add(done);
      void done.finally(() => this.#running.delete(done));
    });
  }

  /**
   * Listens under a temporary name, then renames: shims see the old socket or the new one, never none. The directory
   * is root's alone, since whoever can connect can move network devices.
   */
  async listen(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const temporary = `${path}.${process.pid}`;
    rmSync(temporary, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ path: temporary, backlog: 1024 }, resolve);
    });
    renameSync(temporary, path);
  }

  /** Stops accepting and waits for what is running. The socket's file stays: shims then wait for the next agent. */
  async close(): Promise<void> {
    this.#server.close();
    const impatient = setTimeout(() => {
      for (const socket of this.#silent) socket.destroy();
    }, SILENCE_MS);
    await Promise.all(this.#running);
    clearTimeout(impatient);
  }
}

async function serve(socket: Socket, handler: Handler, log: Log): Promise<void> {
  const caller = new AbortController();
  socket.on("error", () => {}); // a broken pipe: "close" follows
  const closed = new Promise<void>((resolve) =>
    socket.once("close", () => resolve(caller.abort(new Error("the caller is gone")))),
  );
  try {
    const request = await readRequest(socket, closed);
    if (!request) return;
    const response = await handler(request, caller.signal);
    if (socket.destroyed) return await undoIfOrphaned(request, response, handler, log);
    socket.end(encodeReply(response));
    await closed;
  } catch (error) {
    log.warn({ err: error }, "request refused");
    socket.destroy();
  }
}

function readRequest(socket: Socket, closed: Promise<void>): Promise<CniRequest | undefined> {
  const reader = new RequestReader();
  return new Promise((resolve, reject) => {
    void closed.then(() => resolve(undefined));
    socket.on("data", (piece: Buffer) => {
      try {
        const request = reader.push(piece);
        if (request) resolve(request);
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** An ADD that nobody waits for any more is undone; its runtime will call DEL, or not. */
async function undoIfOrphaned(request: CniRequest, response: CniResponse, handler: Handler, log: Log): Promise<void> {
  if (request.env.CNI_COMMAND !== "ADD" || response.exit !== 0) return;
  log.warn({ containerID: request.env.CNI_CONTAINERID, ifname: request.env.CNI_IFNAME }, "caller gone: ADD is undone");
  await handler({ ...request, env: { ...request.env, CNI_COMMAND: "DEL" } }, new AbortController().signal);
}
