import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";

/** A request as it came over the wire, taken apart by the words of `cni/shim/README.md`. */
export interface Request {
  readonly version: number;
  readonly name: string;
  readonly env: readonly string[];
  readonly stdin: Buffer;
}

/** What the agent does once it has a whole request; the connection stays open unless it ends it. */
export type Behaviour = (socket: Socket, request: Request) => void;

/** Bytes before the name: version, total, length of the environment. */
const HEADER = 9;

export class FakeAgent implements AsyncDisposable {
  readonly requests: Request[] = [];
  /** Settles when a client closes a connection before the agent does. */
  readonly vanished: Promise<void>;
  readonly #server = createServer();
  readonly #sockets = new Set<Socket>();
  readonly #path: string;

  private constructor(path: string, behave: Behaviour) {
    this.#path = path;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.vanished = promise;
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      // "close" alone comes when the client went away in the middle of a write.
      for (const event of ["end", "close"] as const)
        socket.on(event, () => {
          if (!socket.writableEnded) resolve();
        });
      this.#receive(socket, behave);
    });
  }

  /** Acts on each new connection, before any request. */
  onConnection(act: (socket: Socket) => void): void {
    this.#server.on("connection", act);
  }

  static async listen(path: string, behave: Behaviour): Promise<FakeAgent> {
    const agent = new FakeAgent(path, behave);
    await new Promise<void>((done, fail) => agent.#server.once("error", fail).listen(path, done));
    return agent;
  }

  #receive(socket: Socket, behave: Behaviour): void {
    const pieces: Buffer[] = [];
    let missing = HEADER;
    let hasHeader = false;
    socket.on("data", (piece: Buffer) => {
      pieces.push(piece);
      missing -= piece.length;
      if (missing > 0) return;
      if (!hasHeader) missing += Buffer.concat(pieces).readUInt32LE(1);
      hasHeader = true;
      if (missing > 0) return;
      const request = decode(Buffer.concat(pieces));
      this.requests.push(request);
      behave(socket, request);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
    rmSync(this.#path, { force: true });
  }
}

function decode(frame: Buffer): Request {
  const environment = frame.readUInt32LE(5);
  const [name, ...env] = frame.toString("latin1", HEADER, HEADER + environment).split("\0");
  if (env.pop() !== "") throw new Error("the environment does not end with a NUL");
  return {
    version: frame[0]!,
    name: name!,
    env,
    stdin: frame.subarray(HEADER + environment, HEADER + frame.readUInt32LE(1)),
  };
}

export function reply(exit: number, stdout: string | Buffer): Buffer {
  const body = Buffer.from(stdout);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(exit, 0);
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
}
