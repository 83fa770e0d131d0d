import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../cni/host.ts";
import { codeOf } from "../cni/kernel/errno.ts";

/** What the probes of a kubelet ask. */
export interface Health {
  /** True once the agent holds its lock, has reconciled and listens. */
  ready: boolean;
  /** The text of `/metrics`; absent until there is something to count. */
  metrics?: () => Promise<string>;
}

/** Pause before an address that is taken is tried again. */
const RETRY_MS = 200;

/**
 * `/healthz`: the process answers. `/readyz`: it also serves. `/metrics`: what it counted. Runs in the main thread, so
 * the kernel cannot stall it. During an upgrade the predecessor, in the same host network, still has the address and answers the probes; this one
 * takes it over as soon as it is free.
 *
 * @returns once it listens or waits for that.
 * @throws {Error} for an address that no socket can have.
 */
export async function serveHealth(address: string, health: Health, log: Log): Promise<{ close(): void }> {
  const { host, port } = parseAddress(address);
  const server = createServer(async (request, response) => {
    if (request.url === "/metrics" && health.metrics) {
      response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4" }).end(await health.metrics());
      return;
    }
    const ok = request.url === "/healthz" || (request.url === "/readyz" && health.ready);
    const known = request.url === "/healthz" || request.url === "/readyz";
    response.writeHead(ok ? 200 : known ? 503 : 404).end(ok ? "ok\n" : known ? "not ready\n" : "");
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

/** @throws {Error} for anything but `host:port`. */
export function parseAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  const port = Number(address.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`cannot use health address "${address}": want host:port, such as 127.0.0.1:9808`);
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ""), port };
}
