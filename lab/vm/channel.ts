import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

export interface Command {
  readonly argv: readonly string[];
  /** Added to the guest's own environment (PATH, HOME). */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Standard input; empty when absent. */
  readonly stdin?: string | Uint8Array;
  /** Default 120,000. At the limit the command's process group is killed and the call rejects. */
  readonly timeoutMs?: number;
  /** The same when it aborts; the call then rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface Reply {
  /** 128 + n when signal n ended the command, 127 when it could not be started. */
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Time from spawn to exit by the guest's clock: without the way there and back. */
  readonly guestMs: number;
}

/** One of a machine's command channels: the host's end of `channel.c`, whose head describes the wire. One command at a time. */
export class Channel {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #onData: () => void = () => {};
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received = this.#received.length ? Buffer.concat([this.#received, chunk]) : chunk;
      this.#onData();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#onData();
    });
  }

  /** Connects and waits until the guest answers; rejects after `timeoutMs` or when the machine ends. */
  static async open(path: string, timeoutMs: number): Promise<Channel> {
    const hello = Buffer.concat([MAGIC, Buffer.from(randomBytes(NONCE_BYTES / 2).toString("hex"))]);
    const channel = new Channel(connect(path));
    channel.#socket.write(hello);
    await channel.#wait(timeoutMs, `reach the guest at ${path}`, () => {
      const at = channel.#received.indexOf(hello); // what an aborted session left comes before it
      if (at < 0) return undefined;
      channel.#received = channel.#received.subarray(at + hello.length);
      return true;
    });
    channel.#socket.unref();
    return channel;
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  close(): void {
    this.#socket.destroy();
  }

  async run({ argv, env = {}, cwd, stdin = "", timeoutMs = 120_000, signal }: Command): Promise<Reply> {
    signal?.throwIfAborted();
    const what = `run ${argv[0]} in the guest`;
    const output = { O: [] as Buffer[], E: [] as Buffer[] };
    const read = () => this.#read(output);
    this.#socket.ref();
    try {
      this.#socket.cork();
      if (Object.keys(env).length)
        this.#send("V", strings(Object.entries(env).map(([key, value]) => `${key}=${value}`)));
      if (cwd) this.#send("C", Buffer.from(cwd));
      this.#send("R", strings(argv));
      this.#sendInput(Buffer.from(stdin));
      this.#socket.uncork();
      const kill = async () => {
        this.#send("K", Buffer.alloc(0));
        await this.#wait(KILL_GRACE_MS, what, read).catch(() => this.close());
      };
      const { exit, guestMs } = await this.#wait(timeoutMs, what, read, kill, signal);
      return { exit, guestMs, stdout: text(output.O), stderr: text(output.E) };
    } finally {
      this.#socket.unref();
    }
  }

  #send(type: string, payload: Buffer): void {
    const head = Buffer.alloc(HEAD_BYTES);
    head.write(type);
    head.writeUInt32BE(payload.length, 1);
    this.#socket.write(head);
    if (payload.length) this.#socket.write(payload);
  }

  #sendInput(input: Buffer): void {
    for (let at = 0; at < input.length; at += INPUT_FRAME_BYTES)
      this.#send("I", input.subarray(at, at + INPUT_FRAME_BYTES));
    this.#send("I", Buffer.alloc(0));
  }

  /** Takes in whole frames; the exit frame ends the command. */
  #read(output: { O: Buffer[]; E: Buffer[] }): { exit: number; guestMs: number } | undefined {
    for (;;) {
      if (this.#received.length < HEAD_BYTES) return undefined;
      const end = HEAD_BYTES + this.#received.readUInt32BE(1);
      if (this.#received.length < end) return undefined;
      const type = String.fromCharCode(this.#received[0]!);
      const payload = this.#received.subarray(HEAD_BYTES, end);
      this.#received = this.#received.subarray(end);
      if (type === "X") return { exit: payload.readUInt32BE(0), guestMs: payload.readUInt32BE(4) / 1000 };
      if (type === "O" || type === "E") output[type].push(payload);
    }
  }

  /** Resolves once `look` finds something in what has come in; at the time limit or an abort `onStop` runs, then it rejects. */
  #wait<T>(
    timeoutMs: number,
    what: string,
    look: () => T | undefined,
    onStop = async () => this.close(),
    signal?: AbortSignal,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#onData = () => {};
      };
      const stop = (why: unknown) => {
        done();
        const stopped = () => reject(why);
        onStop().then(stopped, stopped);
      };
      const onAbort = () => stop(signal?.reason);
      signal?.addEventListener("abort", onAbort);
      const timer = setTimeout(
        () => stop(new Error(`cannot ${what}: no end within ${timeoutMs} ms (ETIMEDOUT)`)),
        timeoutMs,
      );
      this.#onData = () => {
        const found = look();
        if (found === undefined && !this.#closed) return;
        done();
        if (found !== undefined) resolve(found);
        else reject(new Error(`cannot ${what}: the channel closed (ECONNRESET)`));
      };
      this.#onData();
    });
  }
}

const MAGIC = Buffer.from([0xf0, ...Buffer.from("VMX2\n")]);
const NONCE_BYTES = 8;
const HEAD_BYTES = 5;
const INPUT_FRAME_BYTES = 1 << 20;
const KILL_GRACE_MS = 5000;

const strings = (list: readonly string[]): Buffer => Buffer.from(list.map((entry) => `${entry}\0`).join(""));
const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();
