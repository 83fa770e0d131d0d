import { tracer } from "./debug.ts";
import {
  type DumpOptions,
  decodeReplies,
  encodeMessages,
  errorOf,
  type Message,
  type NetlinkConnection,
  NetlinkError,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  type Query,
  type Reply,
} from "./message.ts";

/** Where datagrams go to and come from: the kernel, or a test double. */
export interface NetlinkTransport {
  /** The protocol's number, for the message trace. */
  readonly protocol: number;
  send(datagram: Buffer): void;
  /**
   * The next datagram; valid until the next call.
   *
   * @throws an error with `code` "EAGAIN" when none arrived in time, "ENOBUFS" when the kernel had to drop some.
   */
  receive(): Buffer;
}

/**
 * Messages per send. Their answers wait in the socket's receive buffer (208 KiB unless the node has another default, up
 * to 5 KiB per answer); the kernel drops what does not fit (`ENOBUFS`).
 */
const SEND_MAX = 32;

/**
 * How often a dump that was interrupted by changes is tried, with pauses growing from the first to the last: links come
 * and go by the dozen when a node boots, and a dump of two thousand takes as long as the time between two changes.
 */
const DUMP_TRIES = 8;
const FIRST_PAUSE_MS = 2;
const LAST_PAUSE_MS = 64;

/** Requests and their answers, matched by sequence number. Synchronous: nothing else on the thread runs in between. */
export class Connection implements NetlinkConnection {
  readonly #transport: NetlinkTransport;
  readonly #pause: (ms: number) => void;
  #seq = 0;

  /** @param pause blocks the thread for a time. */
  constructor(transport: NetlinkTransport, pause: (ms: number) => void = sleep) {
    this.#transport = transport;
    this.#pause = pause;
  }

  get<T>({ message, parse }: Query<T>): T {
    return parse(this.request(message)!);
  }

  request(message: Message): Buffer | undefined {
    return this.batch([message])[0];
  }

  batch(messages: readonly Message[]): (Buffer | undefined)[] {
    const answers: (Buffer | undefined)[] = [];
    const failures: NetlinkError[] = [];
    for (let i = 0; i < messages.length; i += SEND_MAX) {
      const { failure, answers: some } = this.#exchange(messages.slice(i, i + SEND_MAX));
      answers.push(...some);
      if (failure) failures.push(failure);
    }
    if (failures[0]) throw failures[0];
    return answers;
  }

  /** One send; reads until every message has been answered. */
  #exchange(messages: readonly Message[]): { answers: (Buffer | undefined)[]; failure: NetlinkError | undefined } {
    const answers: (Buffer | undefined)[] = new Array(messages.length).fill(undefined);
    const first = this.#send(messages, 0);
    const isAnswered: boolean[] = [];
    let failure: NetlinkError | undefined;
    for (let oldest = 0; oldest < messages.length; ) {
      for (const reply of this.#receive(messages[oldest]!)) {
        const i = (reply.seq - first) >>> 0;
        const message = messages[i];
        if (!message) continue; // late: its request timed out
        if (reply.type === NLMSG_ERROR) failure ??= refusalOf(reply, message);
        else answers[i] = Buffer.from(reply.body);
        if (reply.type === NLMSG_ERROR || message.get) isAnswered[i] = true;
      }
      while (isAnswered[oldest]) oldest++;
    }
    return { answers, failure };
  }

  dump(message: Message, { evenInterrupted = false, most = Number.POSITIVE_INFINITY }: DumpOptions = {}): Buffer[] {
    let before: readonly Buffer[] = [];
    for (let tries = 1; ; tries++) {
      const { bodies, interrupted } = this.#dumpOnce(message, most);
      if (!interrupted) return bodies;
      before = merge(bodies, before);
      if (tries === DUMP_TRIES) break;
      this.#pause(Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LAST_PAUSE_MS) * (0.5 + Math.random()));
    }
    if (evenInterrupted) return [...before];
    throw new NetlinkError(message.what, "EAGAIN", `changes interrupted the dump ${DUMP_TRIES} times`);
  }

  /** Reads to the end, unless the dump is too long: the kernel refuses another dump while one is unfinished. */
  #dumpOnce(message: Message, most: number): { bodies: Buffer[]; interrupted: boolean } {
    const first = this.#send([{ ...message, get: true }], NLM_F_DUMP);
    const bodies: Buffer[] = [];
    let interrupted = false;
    for (;;)
      for (const reply of this.#receive(message)) {
        if (reply.seq !== first) continue;
        interrupted ||= (reply.flags & NLM_F_DUMP_INTR) !== 0;
        if (isEnd(reply)) {
          const failure = reply.body.length >= 4 ? errorOf(reply, message.what) : undefined;
          if (failure) throw failure;
          return { bodies, interrupted };
        }
        if (reply.type !== NLMSG_NOOP) bodies.push(Buffer.from(reply.body));
        if (bodies.length > most) throw new NetlinkError(message.what, "EMSGSIZE", `there are more than ${most}`);
      }
  }

  #send(messages: readonly Message[], flags: number): number {
    const first = (this.#seq + 1) >>> 0;
    this.#seq = (this.#seq + messages.length) >>> 0;
    const datagram = encodeMessages(messages, first, flags);
    tracer.write?.(">", this.#transport.protocol, datagram, messages.map((m) => m.what).join("; "));
    this.#transport.send(datagram);
    return first;
  }

  /** @throws {NetlinkError} `ETIMEDOUT` when the kernel does not answer: the outcome of the request is unknown. */
  *#receive(message: Message): Generator<Reply> {
    let datagram: Buffer;
    try {
      datagram = this.#transport.receive();
    } catch (error) {
      if ((error as { code?: unknown }).code !== "EAGAIN") throw error;
      throw new NetlinkError(message.what, "ETIMEDOUT", "the kernel did not answer in time");
    }
    tracer.write?.("<", this.#transport.protocol, datagram);
    yield* decodeReplies(datagram);
  }
}

function refusalOf(reply: Reply, { what, settled }: Message): NetlinkError | undefined {
  const error = errorOf(reply, what);
  return error?.code === settled ? undefined : error;
}

/** An acknowledgement also ends a dump: one of a request that turned out not to be a dump. */
const isEnd = ({ type }: Reply): boolean => type === NLMSG_DONE || type === NLMSG_ERROR;

/** What any try saw, newest first: it contains everything that did not change, even if one try skipped it. */
function merge(newer: readonly Buffer[], older: readonly Buffer[]): Buffer[] {
  const known = new Set(newer.map((body) => body.toString("latin1")));
  return [...newer, ...older.filter((body) => !known.has(body.toString("latin1")))];
}

const sleep = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
