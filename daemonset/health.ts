import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../cni/host.ts";
import { codeOf } from "../cni/kernel/errno.ts";

/** What the probes of a kubelet ask. */
export interface Health {
  /** Why the agent does not serve; empty once it holds its lock, has read the journal and listens. */
  notReady: string;
  /** What the API server refuses; empty: it serves, and does all of its work. */
  refused?: () => readonly string[];
  /** Why the process must be started anew; empty while it can work. */
  notAlive?: () => string;
  /** The text of `/metrics`; absent until there is something to count. */
  metrics?: () => Promise<string>;
}

const PAGES = ["/healthz", "/readyz", "/metrics"];

/** Pause before an address that is taken is tried again. */
const RETRY_MS = 200;

/**
 * `/healthz`: the process can work. `/readyz`: it does. `/metrics`: what it counted. Runs in the main thread, so the
 * kernel cannot stall it, and an answer proves that the event loop turns. During an upgrade the predecessor, in the same host network, still has the address and answers the probes; this one
 * takes it over as soon as it is free.
 *
 * @param pages what is served here; default: all.
 * @returns once it listens or waits for that.
 * @throws {Error} for an address that no socket can have.
 */
export async function serveHealth(
  address: string,
  health: Health,
  log: Log,
  pages: readonly string[] = PAGES,
): Promise<{ close(): void }> {
  const { host, port } = parseAddress(address);
  const server = createServer(async (request, response) => {
    const { status, type = "text/plain; charset=utf-8", body } = await answer(request.url ?? "", health, pages);
    response.writeHead(status, { "Content-Type": type }).end(request.method === "HEAD" ? "" : body);
  });
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
    if (codeOf(error) !== "EADDRINUSE") throw error;
    log.info({ health: address }, "the health address is taken: waiting for it");
    void takeOver();
  });
  return {
    close() {
      wanted = false;
      if (server.listening) server.close();
    },
  };
}

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
export function parseAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  const port = Number(address.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`cannot use health address "${address}": want host:port, such as 127.0.0.1:9808`);
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ""), port };
}
