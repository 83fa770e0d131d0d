import type { Headers, HttpTransport, Tls } from "./transport.ts";

/**
 * Under Bun its own fetch, under Node node:https, because neither serves both: Bun's undici ignores client-node's
 * dispatcher (no private CA), Node's fetch takes no CA. node:https under Bun works and costs 0.30 ms of processor and
 * 73 MB resident at 100 creates in flight where fetch costs 0.22 ms and 52 MB; HTTP/2 costs 1.3 ms. All wait for the
 * server at 100 in flight (600 to 780 creates/s on two cores, 2 ms of its processor each).
 *
 * @param headers of every request: fetch joins several of one name, which the server then reads as one (two groups to
 *   act as, say), so those go by node:https.
 */
export async function openTransport(server: string, tls: Tls, headers: Headers = {}): Promise<HttpTransport> {
  const hasLists = Object.values(headers).some((value) => typeof value !== "string");
  if ("Bun" in globalThis && !hasLists) return (await import("./transport-bun.ts")).fetchTransport(server, tls);
  return (await import("./transport-node.ts")).httpsTransport(server, tls);
}
