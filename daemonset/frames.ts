import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";

/**
 * The shim's wire format (cni/shim/README.md), little endian.
 * Request: u8 version, u32 total, u32 envLength, then `total` bytes: name NUL, `KEY=VALUE` NUL … (`envLength` bytes), stdin.
 * Reply: u32 exit, u32 length, stdout.
 */
const VERSION = 1;
const HEAD = 9;
const MAX_REQUEST_BYTES = 17 << 20;

/** Not what a shim sends: the connection is closed without an answer. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** Collects one request from the pieces that a stream delivers. */
export class RequestReader {
  #pieces: Buffer[] = [];
  #length = 0;

  /**
   * @returns the request once it is whole.
   * @throws {FrameError} for another version, or a length beyond its limit.
   */
  push(piece: Buffer): CniRequest | undefined {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length < HEAD) return undefined;
    const got = this.#joined();
    const total = got.readUInt32LE(1);
    const envLength = got.readUInt32LE(5);
    if (got[0] !== VERSION) throw new FrameError(`cannot read a request: version ${got[0]} is unknown`);
    if (total > MAX_REQUEST_BYTES || envLength > total)
      throw new FrameError(`cannot read a request: it claims ${total} bytes`);
    return got.length < HEAD + total ? undefined : parse(got.subarray(HEAD, HEAD + total), envLength);
  }

  /** Joins only for the header and when complete: pieces of a large request are not copied again and again. */
  #joined(): Buffer {
    const first = this.#pieces[0]!;
    const wanted = first.length >= HEAD ? HEAD + first.readUInt32LE(1) : 0;
    if (this.#pieces.length > 1 && (wanted === 0 || this.#length >= wanted))
      this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]!;
  }
}

function parse(body: Buffer, envLength: number): CniRequest {
  const [name = "", ...pairs] = body.toString("utf8", 0, envLength).split("\0");
  const env: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals > 0) env[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return { name, env, stdin: body.toString("utf8", envLength) };
}

/** The other side's: what a shim sends. */
export function encodeRequest({ name, env, stdin }: CniRequest): Buffer {
  const pairs = Object.entries(env).map(([key, value]) => `${key}=${value}\0`);
  const head = Buffer.from(`${name}\0${pairs.join("")}`);
  const body = Buffer.from(stdin);
  const frame = Buffer.alloc(HEAD);
  frame.writeUInt8(VERSION, 0);
  frame.writeUInt32LE(head.length + body.length, 1);
  frame.writeUInt32LE(head.length, 5);
  return Buffer.concat([frame, head, body]);
}

/** What a shim receives; undefined if incomplete. */
export function readReply(bytes: Buffer): Pick<CniResponse, "exit" | "stdout"> | undefined {
  if (bytes.length < 8 || bytes.length < 8 + bytes.readUInt32LE(4)) return undefined;
  return { exit: bytes.readUInt32LE(0), stdout: bytes.toString("utf8", 8, 8 + bytes.readUInt32LE(4)) };
}

export function encodeReply({ exit, stdout }: CniResponse): Buffer {
  const text = Buffer.from(stdout);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(exit, 0);
  head.writeUInt32LE(text.length, 4);
  return Buffer.concat([head, text]);
}
