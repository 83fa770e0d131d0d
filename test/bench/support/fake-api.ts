import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pki } from "../../../lab/cluster/pki.ts";
import type { FakePods } from "./pods.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects of Kubernetes, as they come
type Json = any;

/** Of client-node's own dependencies; it comes without types. */
const { WebSocketServer } = createRequire(import.meta.url)("ws") as Json;

/**
 * An API server as far as `railnet bench rdma` talks to it: nodes `a` and `b`, whose pods run at once and are the two of
 * {@link FakePods}; commands run there by the protocol of `exec`. The garbage collector deletes what a Job owns.
 */
export class FakeApi implements Disposable {
  readonly #pods: FakePods;
  readonly #server: Server;
  readonly #folder = mkdtempSync(join(tmpdir(), "fake-api-"));
  readonly #sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered: Set<string>) => this.#protocol(offered),
  });
  readonly #children = new Set<ChildProcess>();
  readonly objects = new Map<string, Json>();
  /** `METHOD PATH` of what was written. */
  readonly writes: string[] = [];
  /** Whose kubelet is gone: commands never answer. */
  lost = "";
  /** What exec speaks; a server before Kubernetes 1.30 has no v5. */
  version: "v4" | "v5" = "v5";
  /** Why pods of a node do not run. */
  readonly waiting = new Map<string, string>();

  private constructor(pods: FakePods) {
    this.#pods = pods;
    const pki = new Pki(this.#folder);
    pki.server("server");
    const [key, cert] = ["server.key", "server.crt"].map((file) => readFileSync(pki.path(file)));
    this.#server = createServer(
      { key: key!, cert: cert! },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.on("upgrade", (request, socket, head) =>
      this.#sockets.handleUpgrade(request, socket, head, (ws: Json) => this.#exec(request, ws)),
    );
  }

  static async start(pods: FakePods): Promise<FakeApi> {
    const api = new FakeApi(pods);
    await new Promise<void>((resolve) => api.#server.listen(0, "127.0.0.1", resolve));
    return api;
  }

  /** Path of a kubeconfig. */
  get kubeconfig(): string {
    const server = `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    const named = {
      clusters: [{ name: "c", cluster: { server, "certificate-authority": join(this.#folder, "ca.crt") } }],
      users: [{ name: "u", user: { token: "t" } }],
    };
    const config = { apiVersion: "v1", kind: "Config", ...named, contexts: [{ name: "x", context: { cluster: "c", user: "u" } }], "current-context": "x" }; // biome-ignore format: one row
    writeFileSync(join(this.#folder, "kubeconfig"), JSON.stringify(config), { mode: 0o600 });
    return join(this.#folder, "kubeconfig");
  }

  of(kind: string): Json[] {
    return [...this.objects.values()].filter((object) => object.kind === kind);
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const client of this.#sockets.clients) client.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.#folder, { recursive: true });
  }

  #protocol(offered: Set<string>): string | false {
    return [...offered].find((name) => this.version === "v5" || name.startsWith("v4")) ?? false;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url!, "http://x");
    let text = "";
    for await (const piece of request) text += piece;
    if (request.method !== "GET") this.writes.push(`${request.method} ${pathname}`);
    const [status, body] = this.#handle(request.method!, pathname, text);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }

  #handle(method: string, path: string, text: string): [number, Json] {
    const metadata = { resourceVersion: "1" };
    const missing = { kind: "Status", status: "Failure", reason: "NotFound", code: 404, details: { name: path.split("/").at(-1) } }; // biome-ignore format: one row
    if (path === "/api/v1/nodes") return [200, { metadata, items: ["a", "b"].map(nodeOf) }];
    if (path.endsWith("/network-attachment-definitions/rail0")) return [200, nadOf("rail0")];
    if (path.endsWith("/network-attachment-definitions/rail1")) return [200, nadOf("rail1")];
    if (path.includes("/railnodes")) return [404, missing];
    if (method === "POST") return [201, this.#create(JSON.parse(text))];
    if (method === "DELETE") return this.#delete(path.split("/").at(-1)!) ? [200, {}] : [404, missing];
    if (path.endsWith("/pods")) return [200, { metadata, items: this.of("Pod") }];
    if (path.endsWith("/events")) return [200, { metadata, items: [] }];
    return [404, missing];
  }

  #create(object: Json): Json {
    const made = { ...object, metadata: { ...object.metadata, uid: `uid-${this.objects.size}` } };
    if (made.kind === "Pod") Object.assign(made, this.#run(made));
    this.objects.set(made.metadata.name, made);
    return made;
  }

  /** At once, with what Multus would have written. */
  #run({ metadata, spec }: Json): object {
    const [node] = spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].values; // biome-ignore format: one row
    const reason = this.waiting.get(node);
    if (reason) return { status: { phase: "Pending", containerStatuses: [{ ready: false, state: { waiting: { reason, message: "no such image" } } }] } }; // biome-ignore format: one row
    const status = this.#pods.networkStatus(node);
    const annotations = { ...metadata.annotations, "k8s.v1.cni.cncf.io/network-status": status };
    return { metadata: { ...metadata, annotations }, spec: { ...spec, nodeName: node }, status: { phase: "Running", containerStatuses: [{ ready: true }] } }; // biome-ignore format: one row
  }

  #delete(name: string): boolean {
    const object = this.objects.get(name);
    if (!object) return false;
    this.objects.delete(name);
    for (const one of [...this.objects.values()])
      if (one.metadata.ownerReferences?.some(({ uid }: Json) => uid === object.metadata.uid)) this.#delete(one.metadata.name); // biome-ignore format: one row
    return true;
  }

  #exec({ url }: IncomingMessage, ws: Json): void {
    const { pathname, searchParams } = new URL(url!, "http://x");
    const pod = this.objects.get(pathname.split("/").at(-2)!);
    if (!pod || pod.spec.nodeName === this.lost) return;
    const [command, env] = this.#pods.enter(pod.spec.nodeName, searchParams.getAll("command"));
    const child = spawn(command[0]!, command.slice(1), { env, stdio: ["pipe", "pipe", "pipe"] });
    this.#children.add(child);
    child.stdin.on("error", () => {});
    const send = (channel: number, data: Buffer | string) => ws.send(Buffer.concat([Buffer.from([channel]), Buffer.from(data)])); // biome-ignore format: one row
    child.stdout.on("data", (piece: Buffer) => send(1, piece));
    child.stderr.on("data", (piece: Buffer) => send(2, piece));
    ws.on("message", (data: Buffer) => data[0] === 255 && data[1] === 0 && child.stdin.end());
    ws.on("close", () => child.stdin.end());
    child.on("close", (code) => {
      this.#children.delete(child);
      const failure = { status: "Failure", reason: "NonZeroExitCode", message: `exit code ${code}`, details: { causes: [{ reason: "ExitCode", message: `${code}` }] } }; // biome-ignore format: one row
      send(3, JSON.stringify(code === 0 ? { status: "Success" } : failure));
      ws.close();
    });
  }
}

const nodeOf = (name: string) => ({
  metadata: { name, labels: { "topology.kubernetes.io/zone": "z1" } },
  status: { conditions: [{ type: "Ready", status: "True" }], allocatable: { "railnet.io/rail0": "4", "railnet.io/rail1": "4" } }, // biome-ignore format: one row
});

const nadOf = (name: string) => ({
  metadata: { name, namespace: "default", annotations: { "k8s.v1.cni.cncf.io/resourceName": `railnet.io/${name}` } },
});
