import { Deadline } from "./deadline.ts";
import { type Action, isWrite, silence, unfinished } from "./failure.ts";
import type { Open, Session } from "./session.ts";
import { Slots } from "./slots.ts";
import { type HttpAnswer, type HttpRequest, isUntrusted, SendError } from "./transport.ts";

export interface CallerOptions {
  /** Of one call with its repetitions. Default 10 s. */
  readonly timeLimitMs?: number;
  /** Requests at once; more wait for their turn. Default 32: fewer keep the server busy, and each connection costs both sides memory. */
  readonly connections?: number;
  /** Told of every request that was tried; status 0: no answer. */
  readonly count?: (verb: Action["verb"], resource: string, status: number) => void;
}

export type Request = Action & Pick<HttpRequest, "method" | "path" | "headers" | "body">;

/** A whole answer. */
export interface ApiAnswer extends Pick<HttpAnswer, "status" | "header"> {
  readonly body: string;
}

/** Waits before a refused connection is tried again: a server that restarts, or another one behind a balancer. */
const REFUSED_MS = [50, 150, 400];

/** Sends requests within their time, and again what cannot have happened or is only read. */
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

  /** @returns any answer, whatever its status. @throws {ApiError} without one. */
  async call(request: Request, signal: AbortSignal | undefined): Promise<ApiAnswer> {
    // `return await`: what is `using` here must last until the answer is there, not until it is waited for.
    using deadline = new Deadline(this.#timeLimitMs, signal);
    return await this.#named(request, deadline, async () => {
      using _slot = await this.#slots.take(deadline.signal);
      return await this.#repeat(request, deadline, async (open) => {
        const answer = await this.#send(open, request, deadline.signal);
        return { status: answer.status, header: answer.header, body: await answer.text() };
      });
    });
  }

  /** For an answer that goes on until `signal` ends it: the time limit holds until it begins. */
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
          isReadAgain = true; // the server closed an idle connection just when it was used, most often
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

/** Seconds of the answer, else one; spread, so that those who were told together do not come back together. */
const retryAfterMs = (answer: Pick<HttpAnswer, "header">): number =>
  (Number(answer.header("retry-after")) || 1) * 1000 * (1 + Math.random() / 5);

const jitter = (ms: number): number => ms * (0.5 + Math.random());
