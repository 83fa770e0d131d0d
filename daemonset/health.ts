import { mkdirSync, renameSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../cni/host.ts";
import { codeOf } from "../kernel/errno.ts";

/** What a kubelet's probes ask. */
export interface Health {
  /** Why the agent does not serve; empty once it holds its lock, has read the journal and listens. */
  notReady: string;
  /** What the API server refuses; empty: it serves, and does all of its work. */
  refused?: () => readonly string[];
  /** Why the process must be restarted; empty while it can work. */
  notAlive?: () => string;
  /** The text of `/metrics`; absent until there is something to count. */
  metrics?: () => Promise<string>;
}

const PAGES = ["/healthz", "/readyz", "/metrics"];

/** Pause before an address in use is tried again. */
const RETRY_MS = 200;

/** An endpoint that listens, or waits for its address. */
export interface Endpoint {
  readonly isListening: boolean;
  close(): void;
}

/**
 * `/healthz`: the process can work. `/readyz`: it does. `/metrics`: what it counted. Runs in the main thread, so the
 * kernel cannot stall it, and an answer proves that the event loop runs. An address in use (during an upgrade by the
 * predecessor, in the same host network) is taken as soon as it is free, and nothing waits for that.
 *
 * @param pages which to serve; default: all.
 * @returns once it listens or waits for its address.
 * @throws {Error} for anything but `host:port`.
 */
export async function serveHealth(
  address: string,
  health: Health,
  log: Log,
  pages: readonly string[] = PAGES,
): Promise<Endpoint> {
  const { host, port } = parseAddress(address);
  const server = createServer(answering(health, pages));
  const listen = () =>
    new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, () => resolve()));
  let wanted = true;
  const takeOver = async () => {
    while (wanted && !server.listening)
      await sleep(RETRY_MS, undefined, { ref: false })
        .then(listen)
        .catch(() => {});
    if (!wanted) server.close();
  };
  await listen().catch((error) => {
    log.info({ health: address, code: codeOf(error) }, "the address is in use: waiting for it");
    void takeOver();
  });
  return {
    get isListening() {
      return server.listening;
    },
    close() {
      wanted = false;
      if (server.listening) server.close();
    },
  };
}

/**
 * The same on a unix socket, which no other program can take: for the kubelet's exec probes (`cni/shim/probe.c`). Listens
 * under a temporary name, then renames, replacing the socket of the predecessor that has ended.
 */
export async function serveHealthSocket(path: string, health: Health): Promise<Endpoint> {
  const server = createServer(answering(health, PAGES));
  const temporary = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(temporary, { force: true });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(temporary, () => resolve()));
  renameSync(temporary, path);
  return { isListening: true, close: () => void server.close() };
}

const answering =
  (health: Health, pages: readonly string[]): RequestListener =>
  async (request, response) => {
    const { status, type = "text/plain; charset=utf-8", body } = await answer(request.url ?? "", health, pages);
    response.writeHead(status, { "Content-Type": type }).end(request.method === "HEAD" ? "" : body);
  };

interface Page {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

async function answer(url: string, health: Health, pages: readonly string[]): Promise<Page> {
  const path = url.split("?", 1)[0]!;
  if (!pages.includes(path)) return { status: 404, body: `want ${pages.join(", ")}\n` };
  if (path === "/healthz") return probe(health.notAlive?.() ?? "");
  if (path === "/readyz") return probe(health.notReady || (health.refused?.() ?? []).join("\n"));
  if (!health.metrics) return { status: 503, body: `no metrics yet: ${health.notReady}\n` };
  try {
    return { status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: await health.metrics() };
  } catch (error) {
    return { status: 500, body: `cannot read the metrics: ${(error as Error).message}\n` };
  }
}

const probe = (whyNot: string): Page => (whyNot ? { status: 503, body: `${whyNot}\n` } : { status: 200, body: "ok\n" });

/** @throws {Error} for anything but `host:port`. */
function parseAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  const port = Number(address.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`cannot use health address "${address}": want host:port, such as 127.0.0.1:9808`);
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ""), port };
}
