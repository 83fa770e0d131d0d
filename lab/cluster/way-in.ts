import { spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import type { World } from "../netns/world.ts";

/** The API server's port in a node's network namespace. */
const PORT = 6443;

const joined = `(client, server) => { client.pipe(server).pipe(client); for (const one of [client, server]) one.on("error", () => [client, server].map((end) => end.destroy())); }`;

/**
 * A node has its own network namespace: one of its ports leads to an API server on this host's loopback, through a socket
 * that belongs to no namespace.
 *
 * @param url of the API server, or of a proxy in front.
 */
export function wayIn(world: World, url: string): { readonly url: string; close(): void } {
  const way = join(world.dir, "api.sock");
  const far = createServer((client) => {
    const server = connect(Number(new URL(url).port), "127.0.0.1");
    client.pipe(server).pipe(client);
    for (const one of [client, server]) one.on("error", () => [client, server].map((end) => end.destroy()));
  }).listen(way);
  const near = `const net = require("node:net"); net.createServer((client) => (${joined})(client, net.connect(${JSON.stringify(way)}))).listen(${PORT}, "127.0.0.1")`;
  const [command, args] = world.host.enter("setpriv", "--pdeathsig", "KILL", process.execPath, "-e", near);
  const forward = spawn(command, args, { stdio: "ignore" });
  return {
    url: `https://127.0.0.1:${PORT}`,
    close() {
      far.close();
      forward.kill("SIGKILL");
    },
  };
}
