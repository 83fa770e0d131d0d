import { Deadline } from "./deadline.ts";
import { type Action, isWrite, silence, unfinished } from "./failure.ts";
import type { Open, Session } from "./session.ts";
import { Slots } from "./slots.ts";
import { type HttpAnswer, type HttpRequest, isUntrusted, SendError } from "./transport.ts";

export interface CallerOptions {
  /** For one call including its retries. Default 10 s. */
  readonly timeLimitMs?: number;
  /** Concurrent requests; more wait for their turn. Default 32: fewer keep the server busy, and each connection costs both sides memory. */
  readonly connections?: number;
  /** Called for every attempt; status 0 means no answer. */
  readonly count?: (verb: Action["verb"], resource: string, status: number) => void;
}

export type Request = Action & Pick<HttpRequest, "method" | "path" | "headers" | "body">;

/** A complete answer. */
export interface ApiAnswer extends Pick<HttpAnswer, "status" | "header"> {
  readonly body: string;
}

/** Pauses before a refused connection is tried again: the server is restarting, or there is another behind a load balancer. */
const REFUSED_MS = [50, 150, 400];

/** Sends requests within their time limit, and repeats those that cannot have been executed or only read. */
export class Caller {
  readonly #session: Session;
  readonly #timeLimitMs: number;
  readonly #slots: Slots;
  readonly #count: CallerOptions["count"];

  constructor(session: Session, { timeLimitMs = 10_000, connections = 32, count }: CallerOptions) {
    this.#session = session;
    this.#timeLimitMs = timeLimitMs;
    this.#slots = new Slots(connections);
    this.#count = count;
  }

  /** @returns any answer, whatever its status. @throws {ApiError} if there is none. */
  async call(request: Request, signal: AbortSignal | undefined): Promise<ApiAnswer> {
    // `return await`: what is `using` here must last until the answer is there.
    using deadline = new Deadline(this.#timeLimitMs, signal);
    return await this.#named(request, deadline, async () => {
      using _slot = await this.#slots.take(deadline.signal);
      return await this.#repeat(request, deadline, async (open) => {
        const answer = await this.#send(open, request, deadline.signal);
        return { status: answer.status, header: answer.header, body: await answer.text() };
      });
    });
  }

  /** For an answer that lasts until `signal` ends it: the time limit applies until it begins. */
  async stream(request: Request, signal: AbortSignal): Promise<HttpAnswer> {
    const deadline = new Deadline(this.#timeLimitMs, signal);
    const begun = () => this.#repeat(request, deadline, (open) => this.#send(open, request, deadline.signal));
    const answer = await this.#named(request, deadline, begun).finally(() => deadline.lift());
    return { ...answer, pieces: () => this.#rest(request, answer) };
  }

  async #send({ access, send }: Open, request: Request, signal: AbortSignal): Promise<HttpAnswer> {
    const { method, path, headers, body, verb, resource } = request;
    let status = 0;
    try {
      const all = { ...headers, ...access.headers };
      const answer = await send({ method, path, headers: all, ...(body !== undefined && { body }), signal });
      status = answer.status;
      return answer;
    } finally {
      this.#count?.(verb, resource.plural, status);
    }
  }

  async *#rest(action: Action, answer: HttpAnswer): AsyncGenerator<Uint8Array> {
    try {
      yield* answer.pieces();
    } catch (error) {
      throw error instanceof SendError ? silence(action, this.#session.server, error) : error;
    }
  }

  async #repeat<T extends Pick<HttpAnswer, "status" | "header">>(
    request: Request,
    deadline: Deadline,
    once: (open: Open) => Promise<T>,
  ): Promise<T> {
    let open = await this.#session.open();
    let isRenewed = false;
    let isReadAgain = false;
    for (let refused = 0; ; ) {
      try {
        const answer = await once(open);
        if (answer.status === 401 && !isRenewed) isRenewed = true;
        else if (answer.status !== 429 || !(await deadline.wait(retryAfterMs(answer)))) return answer;
        else continue;
      } catch (error) {
        if (!(error instanceof SendError) || deadline.signal.aborted) throw error;
        if (error.code === "ECONNREFUSED" && (await deadline.wait(jitter(REFUSED_MS[refused++] ?? Infinity)))) continue;
        if (error.wasSent && !isWrite(request) && !isReadAgain) {
          isReadAgain = true; // most often the server closed an idle connection just as it was used
          continue;
        }
        if (!isUntrusted(error.code) || isRenewed) throw error;
        isRenewed = true;
      }
      open = await this.#session.open(open);
    }
  }

  async #named<T>(action: Action, deadline: Deadline, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const server = this.#session.server;
      const wasSent = error instanceof SendError && error.wasSent;
      if (deadline.signal.aborted) throw unfinished(action, server, deadline.why, wasSent);
      throw error instanceof SendError ? silence(action, server, error) : error;
    }
  }
}

/** From the answer, default one second; spread, so that clients told at the same time do not return together. */
const retryAfterMs = (answer: Pick<HttpAnswer, "header">): number =>
  (Number(answer.header("retry-after")) || 1) * 1000 * (1 + Math.random() / 5);

const jitter = (ms: number): number => ms * (0.5 + Math.random());
