import type { Headers, HttpTransport, Tls } from "./transport.ts";

/**
 * Under Bun its own fetch, under Node node:https, because neither works for both: Bun's undici ignores client-node's
 * dispatcher (no private CA), Node's fetch takes no CA. node:https under Bun works, but costs 0.30 ms of CPU per create
 * and 73 MB resident with 100 in flight where fetch costs 0.22 ms and 52 MB; HTTP/2 costs 1.3 ms. With 100 in flight all
 * of them wait for the server (600 to 780 creates/s on two cores, 2 ms of its CPU each).
 *
 * @param headers of every request: fetch joins several of the same name, which the server then reads as one (two groups
 *   to act as, for instance), so those use node:https.
 */
export async function openTransport(server: string, tls: Tls, headers: Headers = {}): Promise<HttpTransport> {
  const hasLists = Object.values(headers).some((value) => typeof value !== "string");
  if ("Bun" in globalThis && !hasLists) return (await import("./transport-bun.ts")).fetchTransport(server, tls);
  return (await import("./transport-node.ts")).httpsTransport(server, tls);
}
