import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Socket, UnixSocketListener } from "bun";
import type { Log } from "../cni/host.ts";
import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";
import { encodeReply, RequestReader } from "./frames.ts";

/** Answers one request. `signal` aborts when the caller has gone. Never rejects. */
export type Handler = (request: CniRequest, signal: AbortSignal) => Promise<CniResponse>;

/** How long a connection may be silent when the agent is stopping: a shim sends its request at once. */
const SILENCE_MS = 1_000;

/** The agent's socket: one request and one reply per connection. Uses Bun's API, since `node:net` costs half a millisecond per call. */
export class AgentServer {
  readonly #handler: Handler;
  readonly #log: Log;
  readonly #open = new Set<Connection>();
  readonly #running = new Set<Promise<void>>();
  #listener: UnixSocketListener<Connection> | undefined;

  constructor(handler: Handler, log: Log) {
    this.#handler = handler;
    this.#log = log;
  }

  /**
   * Listens under a temporary name, then renames: shims see the old socket or the new one, never none. The directory is
   * accessible to root only, since whoever can connect can move network devices.
   */
  async listen(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const temporary = `${path}.${process.pid}`;
    rmSync(temporary, { force: true });
    this.#listener = Bun.listen<Connection>({
      unix: temporary,
      socket: {
        open: (socket) => {
          socket.data = new Connection(socket);
          this.#open.add(socket.data);
        },
        data: (socket, piece) => this.#heard(socket.data, piece),
        drain: (socket) => socket.data.flush(),
        close: (socket) => {
          this.#open.delete(socket.data);
          socket.data.ended();
        },
      },
    });
    renameSync(temporary, path);
  }

  /** Stops accepting and waits for what is running. The socket's file stays: shims then wait for the next agent. */
  async close(): Promise<void> {
    this.#listener?.stop();
    const impatient = setTimeout(() => {
      for (const connection of this.#open) if (!connection.isAsked) connection.drop();
    }, SILENCE_MS);
    while (this.#open.size > 0 || this.#running.size > 0)
      await Promise.all([...this.#running, ...[...this.#open].map(({ closed }) => closed)]);
    clearTimeout(impatient);
  }

  #heard(connection: Connection, piece: Buffer): void {
    try {
      const request = connection.read(piece);
      if (!request) return;
      const done = this.#serve(connection, request).finally(() => this.#running.delete(done));
      this.#running.add(done);
    } catch (err) {
      this.#log.warn({ err }, "request refused");
      connection.drop();
    }
  }

  async #serve(connection: Connection, request: CniRequest): Promise<void> {
    const response = await this.#handler(request, connection.signal);
    if (connection.signal.aborted) await this.#undoIfOrphaned(request, response);
    else connection.reply(encodeReply(response));
  }

  /** An ADD that nobody waits for any more is undone; its runtime may or may not call DEL. */
  async #undoIfOrphaned(request: CniRequest, response: CniResponse): Promise<void> {
    if (request.env.CNI_COMMAND !== "ADD" || response.exit !== 0) return;
    const { CNI_CONTAINERID: containerID, CNI_IFNAME: ifname } = request.env;
    this.#log.warn({ containerID, ifname }, "caller gone: undoing ADD");
    await this.#handler({ ...request, env: { ...request.env, CNI_COMMAND: "DEL" } }, new AbortController().signal);
  }
}

/** One caller. */
class Connection {
  readonly #socket: Socket<Connection>;
  readonly #reader = new RequestReader();
  readonly #caller = new AbortController();
  readonly #close = Promise.withResolvers<void>();
  #unsent: Buffer | undefined;
  isAsked = false;

  constructor(socket: Socket<Connection>) {
    this.#socket = socket;
  }

  get signal(): AbortSignal {
    return this.#caller.signal;
  }

  get closed(): Promise<void> {
    return this.#close.promise;
  }

  /**
   * @returns the request once it is complete; anything after it is ignored.
   * @throws {FrameError} for what no shim sends.
   */
  read(piece: Buffer): CniRequest | undefined {
    if (this.isAsked) return undefined;
    const request = this.#reader.push(Buffer.from(piece)); // Bun reuses the piece's memory
    this.isAsked = request !== undefined;
    return request;
  }

  reply(bytes: Buffer): void {
    this.#unsent = bytes;
    this.flush();
  }

  /** Sends what the socket's buffer takes, and closes after the last byte. */
  flush(): void {
    if (!this.#unsent) return;
    this.#unsent = this.#unsent.subarray(this.#socket.write(this.#unsent));
    if (this.#unsent.length === 0) this.#socket.end();
  }

  drop(): void {
    this.#socket.terminate();
  }

  ended(): void {
    this.#caller.abort(new Error("the caller is gone"));
    this.#close.resolve();
  }
}
