import { createServer, type Server } from "node:http";

/** What the probes of a kubelet ask. */
export interface Health {
  /** True once the agent holds its lock, has reconciled and listens. */
  ready: boolean;
}

/** `/healthz`: the process answers. `/readyz`: it also serves. Runs in the main thread, so the kernel cannot stall it. */
export async function serveHealth(address: string, health: Health): Promise<Server> {
  const { host, port } = parseAddress(address);
  const server = createServer((request, response) => {
    const ok = request.url === "/healthz" || (request.url === "/readyz" && health.ready);
    const known = request.url === "/healthz" || request.url === "/readyz";
    response.writeHead(ok ? 200 : known ? 503 : 404).end(ok ? "ok\n" : known ? "not ready\n" : "");
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  return server;
}

/** @throws {Error} for anything but `host:port`. */
export function parseAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(":");
  const port = Number(address.slice(at + 1));
  if (at < 1 || !Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`cannot use health address "${address}": want host:port, such as 127.0.0.1:9808`);
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ""), port };
}
