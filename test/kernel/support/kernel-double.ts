import { Connection, type NetlinkTransport } from "../../../kernel/netlink/connection.ts";
import { decodeReplies, type Reply } from "../../../kernel/netlink/message.ts";

/** What a kernel answers to one datagram: datagrams, or an error to throw while one is awaited. */
type Answer = Buffer | Error;

/** A kernel that is one function from a datagram of requests to datagrams of replies. */
export class Kernel implements NetlinkTransport {
  readonly protocol = 0;
  /** Everything that was sent, message by message. */
  readonly sent: Reply[] = [];
  /** How many messages were in each send. */
  readonly sends: number[] = [];
  readonly #reply: (requests: readonly Reply[], datagram: Buffer) => readonly Answer[];
  readonly #queue: Answer[] = [];
  /** One for all datagrams, as a socket has it: what was not copied out of it is lost at the next receive. */
  readonly #inbox = Buffer.alloc(1 << 16);

  constructor(reply: (requests: readonly Reply[], datagram: Buffer) => readonly Answer[]) {
    this.#reply = reply;
  }

  /** Answers the first request with captured datagrams, their sequence number put right. */
  static answering(datagrams: readonly Buffer[]): Connection {
    return new Connection(new Kernel(([request]) => datagrams.map((d) => withSeq(d, request!.seq))));
  }

  send(datagram: Buffer): void {
    const requests = [...decodeReplies(Buffer.from(datagram))];
    this.sent.push(...requests);
    this.sends.push(requests.length);
    this.#queue.push(...this.#reply(requests, datagram));
  }

  receive(): Buffer {
    const answer = this.#queue.shift();
    if (!answer) throw Object.assign(new Error("cannot receive (EAGAIN)"), { code: "EAGAIN" });
    if (answer instanceof Error) throw answer;
    this.#inbox.fill(0xee);
    answer.copy(this.#inbox);
    return this.#inbox.subarray(0, answer.length);
  }
}

/** A captured datagram as an answer to request `seq`. */
export function withSeq(datagram: Buffer, seq: number): Buffer {
  const copy = Buffer.from(datagram);
  for (let at = 0; at + 16 <= copy.length; at += (copy.readUInt32LE(at) + 3) & ~3) copy.writeUInt32LE(seq, at + 8);
  return copy;
}
