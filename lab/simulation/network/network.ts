import { type HttpAnswer, type HttpRequest, type HttpTransport, SendError } from "../../../kubernetes/transport.ts";
import type { Reply } from "../api/objects.ts";
import { NOT_SERVED, status } from "../api/replies.ts";
import { selector } from "../api/selector.ts";
import { type ApiServer, isMetadataOnly } from "../api/server.ts";
import type { Watcher } from "../api/watches.ts";
import { type Actor, currentActor, Killed } from "../core/actor.ts";
import { Random } from "../core/random.ts";
import { simulation } from "../core/simulation.ts";
import { CacheTimes } from "./cache-times.ts";
import type { Link } from "./link.ts";
import { Stream } from "./stream.ts";
import { CALM, type Fate, fateBy, type Weather } from "./weather.ts";

/** Where a process may be killed: around each of its requests. */
export const PHASES = ["before", "sent", "done", "answered"] as const;
export type Phase = (typeof PHASES)[number];

/** A request on its way: what is said to its sender, once. */
class Call {
  readonly what: string;
  readonly request: HttpRequest;
  readonly actor: Actor;
  readonly link: Link;
  readonly #answer = Promise.withResolvers<HttpAnswer>();
  #isOver = false;
  readonly #onAbort = () => this.fail("aborted", "ABORT_ERR", true);

  constructor(what: string, request: HttpRequest, actor: Actor, link: Link) {
    this.what = what;
    this.request = request;
    this.actor = actor;
    this.link = link;
    if (request.signal.aborted) this.fail("aborted", "ABORT_ERR", false);
    else request.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get answer(): Promise<HttpAnswer> {
    return this.#answer.promise;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  fail(message: string, code: string, wasSent: boolean): void {
    if (this.#end(message)) this.#answer.reject(new SendError(message, { code, wasSent }));
  }

  give(code: number, answer: Omit<HttpAnswer, "status">): void {
    if (this.#end(String(code))) this.#answer.resolve({ status: code, ...answer });
  }

  #end(said: string): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.request.signal.removeEventListener("abort", this.#onAbort);
    simulation().note(`${this.what} -> ${said}`);
    return true;
  }
}

/** Between processes and the API servers: time, loss, partitions, caches that are behind. */
export class Network {
  readonly server: ApiServer;
  weather: Weather = CALM;
  /** No server listens. */
  isDown = false;
  /** Requests so far. */
  calls = 0;
  /** Told of each phase of each request; may kill its sender. */
  onPhase: (actor: Actor, phase: Phase) => void = () => {};
  /** Told of each watch from a version that the server is far from. */
  onDeaf: (what: string) => void = () => {};
  readonly random: Random;
  readonly #cache: CacheTimes;

  constructor(server: ApiServer, seed: string) {
    this.server = server;
    this.random = new Random(`${seed} network`);
    this.#cache = new CacheTimes(server.etcd);
  }

  /** To be told of every change. */
  changed(rev: number): void {
    this.#cache.changed(rev);
  }

  transport(link: Link): HttpTransport {
    return (request) => this.#send(link, request);
  }

  #send(link: Link, request: HttpRequest): Promise<HttpAnswer> {
    const actor = currentActor()!;
    if (actor.isDead) return new Promise(() => {});
    const call = new Call(
      `${actor.name} #${++this.calls} ${request.method} ${shorten(request.path)}`,
      request,
      actor,
      link,
    );
    if (call.isOver) return call.answer;
    const fate = fateBy(this.random, this.weather);
    if (fate !== "fine") simulation().note(`${call.what} fate: ${fate}`);
    this.onPhase(actor, "before");
    if (actor.isDead) throw new Killed(actor.name);
    this.onPhase(actor, "sent");
    // What was sent arrives, though its sender dies.
    simulation().afterForAll(this.#arriveMs(fate), () => this.#arrive(call, fate));
    return call.answer;
  }

  #arriveMs(fate: Fate): number {
    if (fate === "late") return this.random.between(1_000, 60_000);
    return fate === "slow" ? this.random.between(0, 5_000) : this.#wayMs();
  }

  #wayMs(): number {
    return this.random.between(this.weather.minMs, this.weather.maxMs);
  }

  #arrive(call: Call, fate: Fate): void {
    if (fate === "lost" || call.link.isCutOut) return; // hangs until its deadline
    if (this.isDown || fate === "refused")
      return void this.#back(call, () => call.fail("connect ECONNREFUSED", "ECONNREFUSED", false));
    const refusal = REFUSALS[fate];
    if (refusal) return void this.#back(call, () => reply(call, refusal));
    if (call.request.path.includes("watch=1")) return void this.#beginWatch(call);
    this.#handle(call, fate);
  }

  #handle(call: Call, fate: Fate): void {
    const { method, path, headers, body } = call.request;
    const isDone = fate !== "timeout-not-done" && fate !== "internal-not-done";
    const said = isDone
      ? this.server.handle(method, this.#cached(path), headers as Readonly<Record<string, string>>, body)
      : undefined;
    if (fate !== "fine") simulation().note(`${call.what} at the server: ${said?.status ?? "nothing"}`);
    this.onPhase(call.actor, "done");
    if (fate === "answer-lost") {
      const waitMs = this.random.chance(0.5) ? 0 : 9_000;
      return void this.#back(call, () => call.fail("socket hang up", "ECONNRESET", true), waitMs);
    }
    const unclear = UNCLEAR[fate];
    if (unclear) return void this.#back(call, () => reply(call, unclear), this.random.between(500, 9_000));
    this.#back(call, () => {
      reply(call, said!);
      this.onPhase(call.actor, "answered");
    });
  }

  /** The way back. What comes while it is cut is lost. */
  #back(call: Call, act: () => void, moreMs = 0): void {
    const arrive = () => {
      if (!call.link.isCutIn) act();
    };
    simulation().after(this.#wayMs() + moreMs, arrive, call.actor);
  }

  /** resourceVersion=0: as a server's cache has it, which may be behind. */
  #cached(path: string): string {
    if (!/[?&]resourceVersion=0(&|$)/.test(path)) return path;
    return `${path}&cacheRev=${this.#cache.revAt(simulation().nowMs - this.random.between(0, this.weather.watchLagMs))}`;
  }

  #beginWatch(call: Call): void {
    const { actor, link, request, what } = call;
    const url = new URL(request.path, "http://server");
    const target = this.server.target(url.pathname);
    if (!target) return void this.#back(call, () => reply(call, NOT_SERVED));
    const { watches, etcd } = this.server;
    const delayMs = () => this.random.between(0, this.weather.watchLagMs);
    const onClose = () => watches.forget(watcher);
    const stream: Stream = new Stream({ link, actor, signal: request.signal, what, delayMs, onClose });
    const watcher: Watcher = {
      kind: target.kind,
      matches: selector(target.namespace, url.searchParams),
      metadataOnly: isMetadataOnly(request.headers as Readonly<Record<string, string>>),
      fromRev: Number(url.searchParams.get("resourceVersion")),
      send: (line) => stream.push(`${line}\n`),
      end: () => stream.breakOff(),
    };
    if (watches.begin(watcher)) this.#keepWatch(watcher, Number(url.searchParams.get("timeoutSeconds") ?? 1800));
    else stream.end();
    if (watcher.fromRev > etcd.rev) this.onDeaf(`${what}, where the server is at ${etcd.rev}`);
    this.#back(call, () => call.give(200, { header: () => undefined, text: async () => "", pieces: () => stream }));
  }

  #keepWatch(watcher: Watcher, seconds: number): void {
    const { watches } = this.server;
    const minute = () => {
      if (!watches.isLive(watcher)) return;
      watches.bookmark(watcher);
      simulation().afterForAll(this.random.between(50_000, 70_000), minute);
    };
    simulation().afterForAll(this.random.between(50_000, 70_000), minute);
    simulation().afterForAll(seconds * 1000, () => {
      if (!watches.isLive(watcher)) return;
      watches.forget(watcher);
      watcher.end();
    });
  }
}

/** Said without anything being done. */
const REFUSALS: Readonly<Partial<Record<Fate, Reply>>> = {
  busy: {
    ...status(429, "TooManyRequests", "too many requests, please try again later"),
    headers: { "retry-after": "1" },
  },
  unavailable: status(503, "ServiceUnavailable", "apiserver not ready"),
  unauthorized: status(401, "Unauthorized", "Unauthorized"),
};

const TIMEOUT = status(504, "Timeout", "request timed out");
const INTERNAL = status(500, "InternalError", "Internal error occurred: etcdserver: request timed out");
const UNCLEAR: Readonly<Partial<Record<Fate, Reply>>> = {
  "timeout-done": TIMEOUT,
  "timeout-not-done": TIMEOUT,
  "internal-done": INTERNAL,
  "internal-not-done": INTERNAL,
};

function reply(call: Call, { status: code, headers = {}, body }: Reply): void {
  const pieces = async function* () {
    yield new TextEncoder().encode(body);
  };
  call.give(code, { header: (name) => headers[name], text: async () => body, pieces });
}

const shorten = (path: string): string =>
  path
    .replace(/^\/apis?\//, "")
    .replace("whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/", "")
    .replace(/timeoutSeconds=\d+&?|&?allowWatchBookmarks=true/g, "");
