import { SendError } from "../../../kubernetes/transport.ts";
import type { Actor } from "../core/actor.ts";
import { Line } from "../core/line.ts";
import { simulation } from "../core/simulation.ts";
import type { Aftermath, Link } from "./link.ts";

export interface StreamOptions {
  readonly link: Link;
  /** Who reads. */
  readonly actor: Actor;
  readonly signal: AbortSignal;
  /** For the trace. */
  readonly what: string;
  /** How long each line takes. */
  delayMs(): number;
  /** Nobody reads any more. */
  onClose(): void;
}

/** The body of a watch as it comes to a client. */
export class Stream implements AsyncIterable<Uint8Array> {
  readonly #options: StreamOptions;
  readonly #ready: string[] = [];
  readonly #line: Line<string>;
  #wake = (): void => {};
  #isSilent = false;
  #isClosed = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    const { link, actor, signal } = options;
    const deliver = (piece: string) => this.#arrive(piece);
    this.#line = new Line({ deliver, isCut: () => link.isCutIn || this.#isSilent, actor: () => actor });
    link.streams.add(this);
    signal.addEventListener("abort", () => this.close(), { once: true });
  }

  push(line: string): void {
    if (this.#isClosed || this.#options.actor.isDead) return void this.close();
    this.#line.send(line, this.#options.delayMs());
  }

  /** By the server, after what was sent. */
  end(): void {
    this.push(END);
  }

  /** The server closes the connection, however far behind what it sends is: that is lost. */
  breakOff(): void {
    this.#line.clear();
    this.#line.send(END, 1);
  }

  afterCut(how: Aftermath): void {
    if (this.#options.actor.isDead) return void this.close();
    simulation().note(`${this.#options.what} after the cut: ${how}`);
    if (how === "silent") this.#isSilent = true;
    else if (how === "on") this.#line.pump();
    else {
      this.#line.clear();
      this.#options.onClose();
      this.#line.send(RESET, 1);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.link.streams.delete(this);
    this.#options.onClose();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const encoder = new TextEncoder();
    try {
      for (;;) {
        const piece = this.#ready.shift();
        if (this.#options.signal.aborted) throw new SendError("aborted", { code: "ABORT_ERR", wasSent: true });
        if (piece === END) return;
        if (piece === RESET) throw new SendError("socket hang up", { code: "ECONNRESET", wasSent: true });
        if (piece !== undefined) yield encoder.encode(piece);
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.close();
    }
  }

  #arrive(piece: string): void {
    simulation().note(`${this.#options.what} << ${summary(piece)}`);
    this.#ready.push(piece);
    this.#wake();
  }
}

const END = "end";
const RESET = "reset";

function summary(line: string): string {
  if (!line.startsWith("{")) return line;
  const { type, object } = JSON.parse(line);
  return `${type} ${object.metadata?.name ?? object.code ?? ""} rv=${object.metadata?.resourceVersion ?? ""}`;
}
