import { chmodSync, rmSync } from "node:fs";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { encodeText, frame, GrpcError, MAX_MESSAGE, STATUS, unframe } from "./frame.ts";

/** A call with one reply. What it throws becomes the call's status. */
export type Unary = (request: Buffer) => Buffer | Promise<Buffer>;

/** A call that stays open, and how replies are sent. */
export interface ResponseStream {
  /** While the caller does not read, only the latest is kept. */
  send(reply: Buffer): void;
  onClose(then: () => void): void;
}

export interface Methods {
  readonly unary: Readonly<Record<string, Unary>>;
  readonly streams: Readonly<Record<string, (stream: ResponseStream) => void>>;
}

export interface GrpcServer {
  /** Ends all calls and removes the socket. */
  close(): Promise<void>;
}

const HEADERS = { ":status": 200, "content-type": "application/grpc" };

/**
 * Serves gRPC on a unix socket, replacing any leftover. We have our own server because the library needs ten megabytes
 * more than HTTP/2 does, in every agent.
 *
 * @throws {Error} when the socket cannot be created.
 */
export async function serve(path: string, methods: Methods): Promise<GrpcServer> {
  rmSync(path, { force: true });
  const server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => {}); // the caller has gone: its calls end with it
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    answer(stream, `${headers[":path"]}`, methods);
  });
  await new Promise<void>((resolve, reject) => server.on("error", reject).listen(path, resolve));
  chmodSync(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(path, { force: true });
          resolve();
        });
        for (const session of sessions) session.destroy();
      }),
  };
}

function answer(stream: ServerHttp2Stream, path: string, { unary, streams }: Methods): void {
  const call = unary[path];
  const open = streams[path];
  const chunks: Buffer[] = [];
  let length = 0;
  stream.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length <= MAX_MESSAGE) chunks.push(chunk);
  });
  stream.on("end", async () => {
    try {
      if (length > MAX_MESSAGE)
        throw new GrpcError(STATUS.INVALID_ARGUMENT, `a request of ${length} bytes is too long`);
      const request = unframe(Buffer.concat(chunks));
      if (call) reply(stream, await call(request));
      else if (open) open(responseStreamOf(stream));
      else throw new GrpcError(STATUS.UNIMPLEMENTED, `there is no method ${path}`);
    } catch (error) {
      refuse(stream, error);
    }
  });
}

function reply(stream: ServerHttp2Stream, message: Buffer): void {
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": `${STATUS.OK}` }));
  stream.end(frame(message));
}

function refuse(stream: ServerHttp2Stream, error: unknown): void {
  const status = error instanceof GrpcError ? error.status : STATUS.INTERNAL;
  const message = encodeText(error instanceof Error ? error.message : String(error));
  if (stream.destroyed) return;
  stream.respond({ ...HEADERS, "grpc-status": `${status}`, "grpc-message": message }, { endStream: true });
}

function responseStreamOf(stream: ServerHttp2Stream): ResponseStream {
  stream.respond(HEADERS);
  let writing = false;
  let latest: Buffer | undefined;
  const flush = () => {
    if (writing || !latest || stream.destroyed) return;
    writing = true;
    const bytes = frame(latest);
    latest = undefined;
    stream.write(bytes, () => {
      writing = false;
      flush();
    });
  };
  return {
    send(message) {
      latest = message;
      flush();
    },
    onClose: (then) => void stream.once("close", then),
  };
}
