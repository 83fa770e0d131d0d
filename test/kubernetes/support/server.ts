// A server behind our own requests that says what a test wants it to say: no socket, no TLS.
import type { Access } from "../../../kubernetes/access.ts";
import { Caller, type CallerOptions } from "../../../kubernetes/caller.ts";
import { Session } from "../../../kubernetes/session.ts";
import { type HttpRequest, SendError } from "../../../kubernetes/transport.ts";

/** An answer, or why there is none; "silence": it never comes. */
export type Says =
  | { readonly status: number; readonly body?: string | object; readonly headers?: Readonly<Record<string, string>> }
  | { readonly code: string; readonly wasSent: boolean }
  | "silence";

export class Server {
  /** What it was asked: `METHOD path`. */
  readonly asked: string[] = [];
  readonly requests: HttpRequest[] = [];
  /** Of each time that access was read: whether the credentials before were refused. */
  readonly reads: boolean[] = [];
  /** `verb plural status` of each attempt. */
  readonly counted: string[] = [];
  /** How many transports were opened. */
  opened = 0;
  access: Access = {
    server: "https://api",
    namespace: "ns",
    tls: { rejectUnauthorized: true },
    headers: { Authorization: "Bearer 1" },
  };
  failsToRead = false;
  readonly #says: Says[];

  /** @param says in turn; the last one ever after. */
  constructor(...says: Says[]) {
    this.#says = says;
  }

  session(): Session {
    const read = async (isFresh: boolean) => {
      this.reads.push(isFresh);
      if (this.failsToRead) throw new Error("half a file");
      return this.access;
    };
    return new Session(read, async () => {
      this.opened++;
      return (request) => this.#answer(request);
    });
  }

  caller(options: CallerOptions = {}): Caller {
    const count = (verb: string, plural: string, status: number) => this.counted.push(`${verb} ${plural} ${status}`);
    return new Caller(this.session(), { timeLimitMs: 2_000, count, ...options });
  }

  async #answer(request: HttpRequest) {
    this.requests.push(request);
    this.asked.push(`${request.method} ${request.path}`);
    const says = this.#says.length > 1 ? this.#says.shift()! : this.#says[0]!;
    if (says === "silence") return await over(request.signal);
    if ("code" in says) throw new SendError(`planted ${says.code}`, says);
    const { status, body = "", headers = {} } = says;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return {
      status,
      header: (name: string) => headers[name],
      text: async () => text,
      pieces: async function* () {
        yield Buffer.from(text);
        if (headers["end"] === "breaks")
          throw new SendError("planted ECONNRESET", { code: "ECONNRESET", wasSent: true });
      },
    };
  }
}

/** As the transports do: a request that is given up counts as sent. */
const over = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(new SendError("aborted", { code: "ABORT_ERR", wasSent: true }));
    if (signal.aborted) end();
    signal.addEventListener("abort", end);
  });
