import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { Duplex } from "node:stream";
import type { ApiServer } from "../cluster/api-server.ts";
import type { Node } from "./node.ts";

/**
 * The API server's way to the kubelet of a node, whose network is its own: `kubectl exec` and `logs` work. A proxy as its
 * `--egress-selector-config-file` names it, which connects in the node's namespace.
 */
export class WayToKubelets implements Disposable {
  readonly #server: Server;
  readonly #children = new Set<ChildProcess>();

  private constructor(node: Node) {
    this.#server = createServer().on("connect", ({ url }, client: Duplex, head: Buffer) => {
      const port = url!.split(":").at(-1)!; // the server asks for the node by its name
      const enter = [`--net=/proc/${node.pid}/ns/net`, "busybox", "nc", node.ip, port];
      const child = spawn("nsenter", enter, { stdio: ["pipe", "pipe", "ignore"] });
      this.#children.add(child);
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      child.stdin.write(head);
      client.pipe(child.stdin).on("error", () => client.destroy());
      child.stdout.pipe(client).on("error", () => child.kill("SIGKILL"));
      client.on("close", () => child.kill("SIGKILL"));
      child.on("close", () => this.#children.delete(child)); // what it read last is on its way until then
    });
  }

  static async open(api: ApiServer, node: Node): Promise<WayToKubelets> {
    const way = new WayToKubelets(node);
    await new Promise<void>((resolve) => way.#server.listen(api.egress, resolve));
    way.#server.unref();
    return way;
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const child of this.#children) child.kill("SIGKILL");
  }
}
