import { errnoName } from "../errno.ts";
import { type Attribute, attributes } from "./attribute.ts";

/** One netlink request: `what` names it in errors, in the form "move mlx5_4 to /run/netns/p". */
export interface Message {
  readonly what: string;
  readonly type: number;
  readonly flags?: number;
  readonly body: Uint8Array;
  /** The answer itself is the acknowledgement (RTM_GET* of one object). */
  readonly get?: boolean;
  /** Name of the errno that means everything already is as requested: not an error then. */
  readonly settled?: string;
}

/** A message as it is on the wire; its body is not copied. */
export interface Reply {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly body: Buffer;
}

/** `NLM_F_*` and message types, include/uapi/linux/netlink.h. */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;
const HEADER = 16;

/** The kernel refused a request. Branch on `code`, never on the message. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
  /** errno name, as in errno(3). */
  readonly code: string;

  constructor(what: string, code: string, kernelSays: string) {
    super(`cannot ${what}: ${kernelSays || "refused"} (${code})`);
    this.code = code;
  }
}

/** A message that asks for one object, and how to parse its answer. */
export interface Query<T> {
  readonly message: Message;
  readonly parse: (body: Buffer) => T;
}

/** Where requests go: a socket, or a test's function from request to replies. */
export interface NetlinkConnection {
  /** @throws {NetlinkError} when refused: `ENODEV` where there is no such object. */
  get<T>(query: Query<T>): T;
  /** @throws {NetlinkError} when refused. */
  request(message: Message): Buffer | undefined;
  /**
   * One answer per message, in order. The kernel continues after a refused message: all are executed, then the first error
   * is thrown.
   */
  batch(messages: readonly Message[]): (Buffer | undefined)[];
  /** @throws {NetlinkError} `EAGAIN` when changes keep interrupting the dump, `EMSGSIZE` when it is longer than `most`. */
  dump(message: Message, options?: DumpOptions): Buffer[];
}

export interface DumpOptions {
  /**
   * For callers looking for something that does not change: the union of what all tries saw will do, newest first, with
   * changed entries twice and deleted ones still in it.
   */
  readonly evenInterrupted?: boolean;
  /** Limit of entries, for lists that others can make as long as they like. Once it is exceeded the connection is unusable. */
  readonly most?: number;
}

const align = (n: number): number => (n + 3) & ~3;

/** `struct nlmsghdr` and body of each message, in one buffer. */
export function encodeMessages(messages: readonly Message[], firstSeq: number, flags: number): Buffer {
  const bytes = Buffer.alloc(messages.reduce((sum, m) => sum + align(HEADER + m.body.length), 0));
  let at = 0;
  messages.forEach((m, i) => {
    bytes.writeUInt32LE(HEADER + m.body.length, at);
    bytes.writeUInt16LE(m.type, at + 4);
    bytes.writeUInt16LE(NLM_F_REQUEST | (m.get ? 0 : NLM_F_ACK) | (m.flags ?? 0) | flags, at + 6);
    bytes.writeUInt32LE(firstSeq + i, at + 8);
    bytes.set(m.body, at + HEADER);
    at += align(HEADER + m.body.length);
  });
  return bytes;
}

/** @throws {Error} when a length does not fit: then nothing in the datagram can be trusted. */
export function* decodeReplies(datagram: Buffer): Generator<Reply> {
  for (let at = 0; at < datagram.length; ) {
    const length = at + HEADER <= datagram.length ? datagram.readUInt32LE(at) : 0;
    if (length < HEADER || at + length > datagram.length)
      throw new Error("cannot read a netlink message: its length is wrong");
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      seq: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + HEADER, at + length),
    };
    at += align(length);
  }
}

/**
 * The error in a NLMSG_ERROR or NLMSG_DONE body with the kernel's own words (extended acknowledgement), or undefined for
 * "done".
 */
export function errorOf(reply: Reply, what: string): NetlinkError | undefined {
  if (reply.body.length < 4) throw new Error("cannot read a netlink acknowledgement: it is too short");
  const errno = reply.body.readInt32LE(0);
  return errno === 0 ? undefined : new NetlinkError(what, errnoName(-errno), kernelSays(reply));
}

/** After the errno: in NLMSG_ERROR the refused request, or only its header (NLM_F_CAPPED); then attributes. */
function kernelSays({ type, flags, body }: Reply): string {
  if (!(flags & NLM_F_ACK_TLVS)) return "";
  const request = type === NLMSG_DONE ? 0 : flags & NLM_F_CAPPED ? HEADER : align(body.readUInt32LE(4));
  const text = attributes(body.subarray(4 + request)).find((a: Attribute) => a.type === NLMSGERR_ATTR_MSG);
  return text ? text.data.toString("utf8", 0, Math.max(0, text.data.length - 1)) : "";
}
