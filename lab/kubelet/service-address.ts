import { spawn } from "node:child_process";
import { connect, type Server, type Socket } from "node:net";
import type { Node } from "./node.ts";

/** The Service `kubernetes` of every cluster: where pods find the API server. */
export const SERVICE_IP = "10.96.0.1";

const LISTEN = `
  const server = require("node:net").createServer();
  server.listen(443, "${SERVICE_IP}", () => process.send("listening", server, () => process.exit()));`;

/**
 * The API server of this machine's loopback at the service address of a node, as kube-proxy would have it: a socket made
 * in the node's network namespace is answered here.
 */
export class ServiceAddress implements Disposable {
  readonly #node: Node;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  private constructor(node: Node, api: string) {
    this.#node = node;
    this.#port = Number(new URL(api).port);
  }

  /** @param api URL of the API server on this machine. */
  static async open(node: Node, api: string): Promise<ServiceAddress> {
    await node.exec(["ip", "addr", "add", `${SERVICE_IP}/32`, "dev", "lo"]);
    const address = new ServiceAddress(node, api);
    await address.up();
    return address;
  }

  /** Connections are refused from now on; open ones are cut. */
  down(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  async up(): Promise<void> {
    this.#server ??= await this.#listen();
  }

  [Symbol.dispose](): void {
    this.down();
  }

  #listen(): Promise<Server> {
    const child = spawn("nsenter", [`--net=/proc/${this.#node.pid}/ns/net`, process.execPath, "-e", LISTEN], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) =>
        reject(new Error(`cannot listen at ${SERVICE_IP} of ${this.#node.name}: exit ${code}`)),
      );
      child.on("message", (_, handle) => {
        const server = handle as Server;
        server.on("connection", (socket: Socket) => this.#pass(socket));
        server.unref();
        resolve(server);
      });
    });
  }

  #pass(socket: Socket): void {
    const target = connect(this.#port, "127.0.0.1");
    for (const [one, other] of [
      [socket, target],
      [target, socket],
    ] as const) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
