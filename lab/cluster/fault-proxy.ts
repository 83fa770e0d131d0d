import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { randomFrom } from "../../cli/random.ts";
import type { ApiServer } from "./api-server.ts";

/** What happens to a request. `after`: the server executes it, but the client does not get the answer. */
export type Effect =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly when?: "before" | "after";
      readonly retryAfter?: number;
    }
  | { readonly kind: "cut"; readonly when?: "before" | "after" }
  | { readonly kind: "hang"; readonly when?: "before" | "after" }
  | { readonly kind: "slow"; readonly ms: number };

/** Which requests are affected. */
export interface Fault {
  readonly effect: Effect;
  readonly method?: string;
  /** Of path and query. */
  readonly path?: RegExp;
  readonly isIt?: (method: string, url: string) => boolean;
  /** Only the nth that matches, from 1. */
  readonly nth?: number;
  /** At most this many. */
  readonly times?: number;
  /** 0 to 1, by the proxy's seed. Default 1. */
  readonly probability?: number;
  /** Called for each affected request. */
  readonly onHit?: (method: string, url: string) => void;
}

interface Rule extends Fault {
  seen: number;
  done: number;
}

const REASONS: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** Stands in front of an API server, with a certificate of the same CA, and does to requests what it is told. */
export class FaultProxy implements AsyncDisposable {
  /** Requests received, by `METHOD resource`, such as `POST ippools`, and in all. */
  readonly counts = new Map<string, number>();
  /** Affected requests. */
  hits = 0;
  /** The most connections that were open at once. */
  mostConnections = 0;
  readonly #agent: Agent;
  readonly #target: string;
  readonly #tls: { readonly cert: Buffer; readonly key: Buffer };
  readonly #sockets = new Set<Socket>();
  #bytesSent = 0;
  readonly #random: () => number;
  #server: Server | undefined;
  #rules: Rule[] = [];
  #port = 0;
  #flapping: AbortController | undefined;
  #flaps: Promise<void> | undefined;

  private constructor(api: ApiServer, seed: number) {
    this.#target = api.url;
    this.#random = randomFrom(seed);
    const [ca, cert, key] = ["ca.crt", "proxy.crt", "proxy.key"].map((file) => readFileSync(api.pki.path(file)));
    this.#tls = { cert: cert!, key: key! };
    this.#agent = new Agent({ ca: ca!, keepAlive: true });
  }

  static async start(api: ApiServer, seed = 1): Promise<FaultProxy> {
    const proxy = new FaultProxy(api, seed);
    await proxy.up();
    return proxy;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** Adds a rule; the first that matches a request applies. @returns a function that removes it. */
  on(fault: Fault): () => void {
    const rule: Rule = { ...fault, seen: 0, done: 0 };
    this.#rules.push(rule);
    return () => {
      this.#rules = this.#rules.filter((other) => other !== rule);
    };
  }

  /** Forgets all rules, and stops flapping. The server is up then. */
  async heal(): Promise<void> {
    this.#rules = [];
    await this.#stopFlapping();
    await this.up();
  }

  /** Connections are refused; open ones are cut. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    this.cutAll();
    await closed;
  }

  /** Listens on the same port as before. */
  async up(): Promise<void> {
    if (this.#server) return;
    const server = createServer(this.#tls, (request, response) => void this.#handle(request, response));
    this.#server = server;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      this.mostConnections = Math.max(this.mostConnections, this.#sockets.size);
      socket.on("close", () => {
        this.#bytesSent += socket.bytesWritten;
        this.#sockets.delete(socket);
      });
    });
    server.on("tlsClientError", () => {});
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Down and up in turn until heal(), each for up to `ms`. */
  flap(ms: number): void {
    this.#flapping ??= new AbortController();
    this.#flaps = this.#flap(ms, this.#flapping.signal);
  }

  async #flap(ms: number, signal: AbortSignal): Promise<void> {
    const pause = () => sleep(ms * this.#random(), undefined, { signal, ref: false }).catch(() => {});
    while (!signal.aborted) {
      await this.down();
      await pause();
      await this.up();
      await pause();
    }
  }

  async #stopFlapping(): Promise<void> {
    this.#flapping?.abort();
    this.#flapping = undefined;
    await this.#flaps;
  }

  /** Cuts every connection, such as those of watches. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Bytes to clients so far, with TLS. */
  get bytesSent(): number {
    return [...this.#sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, this.#bytesSent);
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Requests so far whose `METHOD resource` matches. */
  counted(which: RegExp): number {
    let sum = 0;
    for (const [key, count] of this.counts) if (which.test(key)) sum += count;
    return sum;
  }

  async stop(): Promise<void> {
    await this.#stopFlapping();
    await this.down();
    this.#agent.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = `${request.method} ${resourceOf(request.url!)}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    response.on("error", () => {});
    try {
      await this.#apply(this.#choose(request), request, response);
    } catch {
      response.destroy(); // the server or the client has gone
    }
  }

  async #apply(effect: Effect | undefined, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readAll(request);
    if (effect?.kind === "slow") await sleep(effect.ms);
    if (!effect || effect.kind === "slow") return pipe(await this.#forward(request, body), response);
    if (effect.when === "after") await readAll(await this.#forward(request, body));
    if (effect.kind === "cut") response.destroy();
    if (effect.kind === "answer") answer(response, effect.status, effect.retryAfter);
  }

  #choose({ method, url }: IncomingMessage): Effect | undefined {
    for (const rule of this.#rules) {
      if (rule.method && rule.method !== method) continue;
      if (rule.path && !rule.path.test(url!)) continue;
      if (rule.isIt && !rule.isIt(method!, url!)) continue;
      rule.seen++;
      if (rule.nth !== undefined && rule.seen !== rule.nth) continue;
      if (rule.done >= (rule.times ?? Infinity) || this.#random() >= (rule.probability ?? 1)) continue;
      rule.done++;
      this.hits++;
      rule.onHit?.(method!, url!);
      return rule.effect;
    }
    return undefined;
  }

  #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const options = { method: method!, agent: this.#agent, headers: { ...headers, "content-length": body.length } };
      const sent = request(`${this.#target}${url}`, options);
      sent.on("response", resolve);
      sent.on("error", reject);
      sent.end(body);
    });
  }
}

/** `ippools` of `/apis/GROUP/VERSION/namespaces/NAMESPACE/ippools/NAME`. */
function resourceOf(url: string): string {
  const parts = new URL(url, "https://x").pathname.split("/").slice(url.startsWith("/apis/") ? 4 : 3);
  return (parts[0] === "namespaces" && parts.length > 2 ? parts[2] : parts[0]) ?? "";
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece);
  return Buffer.concat(pieces);
}

function pipe(from: IncomingMessage, to: ServerResponse): void {
  to.writeHead(from.statusCode!, from.headers);
  to.flushHeaders();
  from.pipe(to);
  from.on("error", () => to.destroy());
  from.on("aborted", () => to.destroy());
  to.on("close", () => from.destroy());
}

function answer(response: ServerResponse, code: number, retryAfter: number | undefined): void {
  const status = {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    message: "by the fault proxy",
    reason: REASONS[code],
    code,
  };
  response.writeHead(code, {
    "Content-Type": "application/json",
    ...(retryAfter !== undefined && { "Retry-After": `${retryAfter}` }),
  });
  response.end(JSON.stringify(status));
}
