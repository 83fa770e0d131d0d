import { randomBytes } from "node:crypto";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Daemon } from "./daemon.ts";
import { Pki } from "./pki.ts";
import { RawClient } from "./raw.ts";
import { type Requests, readRequests } from "./requests.ts";
import { SMALL } from "./small.ts";

const BIN = new URL("../../.cache/peers/bin/", import.meta.url).pathname;
/** Which Kubernetes: `npm run soak` also runs the oldest that is supported. */
const KUBERNETES = process.env["RAILNET_KUBERNETES"] ?? "1.37";

export interface ApiServerOptions {
  /** etcd waits for the disk. Default false: a test's objects need not survive the machine. */
  readonly fsync?: boolean;
  /** Leaves out what IPAM never uses: a quarter less memory. Default true. */
  readonly small?: boolean;
  /** For kubelets and controllers: everything is served, pods get tokens, a node may only touch its own objects. Default false. */
  readonly nodes?: boolean;
  /** Writes every request to `audit.log` of the folder. */
  readonly audit?: boolean;
}

/** Path of a peer's executable. @throws {Error} that says how to get it. */
export function peer(name: string): string {
  const path = `${BIN}${name}`;
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(`cannot run ${name}: it has not been built; run scripts/setup.sh peers (minutes the first time)`);
  }
  return path;
}

/** Path of an executable of Kubernetes. @throws {Error} that says how to get it. */
export const kubernetes = (name: string): string => peer(`kubernetes-${KUBERNETES}/${name}`);

/** PATH with the peers before this machine's programs of the same name: containerd finds its shims by it. */
export const pathOfPeers = (): string => `${BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** How a kubeconfig of the server differs from an administrator's. */
export interface KubeconfigOptions {
  readonly server?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly namespace?: string;
  /** Further keys of its cluster and its user. */
  readonly cluster?: object;
  readonly user?: object;
}

/** etcd and kube-apiserver on loopback with TLS and RBAC, ready in about 5 s. No controllers: nobody else changes objects. */
export class ApiServer implements AsyncDisposable {
  readonly folder: string;
  readonly url: string;
  readonly pki: Pki;
  /** The administrator's client, without any of the product's code. */
  readonly raw: RawClient;
  /** Also the administrator's. */
  readonly adminToken = randomBytes(16).toString("hex");
  readonly #options: ApiServerOptions;
  readonly #ports: readonly [api: number, client: number, peer: number];
  #etcd: Daemon;
  #server: Daemon;

  private constructor(options: ApiServerOptions, ports: readonly [number, number, number], folder: string) {
    this.#options = options;
    this.#ports = ports;
    this.folder = folder;
    this.url = `https://127.0.0.1:${ports[0]}`;
    this.pki = makePki(folder);
    writeFileSync(`${folder}/tokens.csv`, `${this.adminToken},admin,1,"system:masters"\n`, { mode: 0o600 });
    this.raw = new RawClient(this.url, this.pki);
    this.#etcd = this.#startEtcd();
    this.#server = this.#startServer();
  }

  /** @throws {Error} with the end of the log that says why. */
  static async start(options: ApiServerOptions = {}): Promise<ApiServer> {
    for (let attempt = 1; ; attempt++) {
      const folder = mkdtempSync(`${tmpdir()}/railnet-api-`);
      const [api, client, peer] = await freePorts(3);
      using failed = new DisposableStack();
      failed.defer(() => rmSync(folder, { recursive: true, force: true }));
      const server = new ApiServer(options, [api!, client!, peer!], folder);
      failed.move();
      try {
        await server.ready();
        return server;
      } catch (error) {
        await server.stop();
        // Another process may have taken a port between the look and the use.
        if (attempt === 3 || !/address already in use/.test(String(error))) throw error;
      }
    }
  }

  /** Waits until it serves. */
  async ready(): Promise<void> {
    const limit = Date.now() + 240_000; // a busy machine
    for (;;) {
      for (const daemon of [this.#etcd, this.#server])
        if (daemon.ended) throw new Error(`${daemon.name} ended: ${daemon.tail()}`);
      const status = await this.raw.request("GET", "/readyz").then(
        ({ status }) => status,
        () => 0,
      );
      if (status === 200) return;
      if (Date.now() > limit) throw new Error(`the API server is not ready after 240 s: ${this.#server.tail()}`);
      await sleep(50);
    }
  }

  /**
   * Path of a kubeconfig.
   *
   * @param options.server where requests go: a proxy in front, for instance. Default: the API server.
   * @param options.token default: the administrator's client certificate, or through a proxy, which cannot pass that on, token.
   * @param options.tokenFile read by the client repeatedly.
   * @param options.ca path of the certificate that must have signed the server's. Default: the true one.
   */
  kubeconfig(options: KubeconfigOptions = {}): string {
    const { server = this.url, tokenFile, ca = this.pki.path("ca.crt"), namespace } = options;
    const token = options.token ?? (server === this.url ? undefined : this.adminToken);
    const user = tokenFile
      ? { tokenFile }
      : token
        ? { token }
        : { "client-certificate": this.pki.path("admin.crt"), "client-key": this.pki.path("admin.key") };
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster: { server, "certificate-authority": ca, ...options.cluster } }],
      users: [{ name: "user", user: { ...user, ...options.user } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "user", ...(namespace && { namespace }) } }],
      "current-context": "test",
    };
    const path = `${mkdtempSync(`${this.folder}/kubeconfig-`)}/config`;
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  /** A token of a service account in kube-system, at least 600 s long. */
  async token(serviceAccount: string, seconds = 86_400): Promise<string> {
    const { status } = await this.raw.post(`/api/v1/namespaces/kube-system/serviceaccounts/${serviceAccount}/token`, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: {},
      spec: { expirationSeconds: seconds },
    });
    return status.token;
  }

  /** Requests answered so far. */
  async requests(): Promise<Requests> {
    return readRequests((await this.raw.request("GET", "/metrics", { accept: "text/plain" })).body);
  }

  /** Processes, for measurements. */
  get pids(): { readonly etcd: number; readonly server: number } {
    return { etcd: this.#etcd.pid, server: this.#server.pid };
  }

  /** Stops kube-apiserver; start again with startAgain(). */
  async down(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#server.stop(signal);
  }

  async startAgain(): Promise<void> {
    if (this.#etcd.ended) this.#etcd = this.#startEtcd();
    if (this.#server.ended) this.#server = this.#startServer();
    await this.ready();
  }

  /** Stops etcd (hard by default) and restarts it on its data; the API server keeps running and answers errors meanwhile. */
  async restartEtcd(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.#etcd.stop(signal);
    this.#etcd = this.#startEtcd();
    await this.ready();
  }

  async stop(): Promise<void> {
    this.raw.close();
    await this.#server.stop("SIGKILL"); // SIGTERM waits for watches to end
    await this.#etcd.stop("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #startEtcd(): Daemon {
    const [, client, peers] = this.#ports;
    const at = (port: number) => `http://127.0.0.1:${port}`;
    const command = [
      peer("etcd"),
      ...["--name", "test", "--data-dir", `${this.folder}/etcd`, "--log-level", "warn"],
      ...["--listen-client-urls", at(client), "--advertise-client-urls", at(client)],
      ...["--listen-peer-urls", at(peers), "--initial-advertise-peer-urls", at(peers)],
      ...["--initial-cluster", `test=${at(peers)}`],
      ...(this.#options.fsync ? [] : ["--unsafe-no-fsync"]),
    ];
    return Daemon.start(command, `${this.folder}/etcd.log`);
  }

  /** Socket of the proxy that leads to kubelets; whoever has kubelets listens there. */
  get egress(): string {
    return `${this.folder}/egress.sock`;
  }

  #wayToKubelets(): string[] {
    const file = `${this.folder}/egress.json`;
    const connection = { proxyProtocol: "HTTPConnect", transport: { uds: { udsName: this.egress } } };
    const egressSelections = [{ name: "cluster", connection }];
    writeFileSync(file, JSON.stringify({ apiVersion: "apiserver.k8s.io/v1beta1", kind: "EgressSelectorConfiguration", egressSelections })); // biome-ignore format: one row
    const [cert, key] = [this.pki.path("admin.crt"), this.pki.path("admin.key")];
    return [
      `--egress-selector-config-file=${file}`,
      `--kubelet-client-certificate=${cert}`,
      `--kubelet-client-key=${key}`,
    ];
  }

  #startServer(): Daemon {
    const [port, client] = this.#ports;
    const pki = (file: string) => this.pki.path(file);
    const command = [
      kubernetes("kube-apiserver"),
      ...["--bind-address=127.0.0.1", `--secure-port=${port}`, "--advertise-address=127.0.0.1"],
      ...["--endpoint-reconciler-type=none", `--etcd-servers=http://127.0.0.1:${client}`],
      ...["--service-cluster-ip-range=10.96.0.0/16", `--client-ca-file=${pki("ca.crt")}`],
      `--token-auth-file=${this.folder}/tokens.csv`,
      ...[`--tls-cert-file=${pki("server.crt")}`, `--tls-private-key-file=${pki("server.key")}`],
      ...["--service-account-issuer=https://kubernetes.default.svc", `--service-account-key-file=${pki("tokens.pub")}`],
      `--service-account-signing-key-file=${pki("tokens.key")}`,
      ...(this.#options.audit ? auditArguments(this.folder) : []),
      ...scope(this.#options),
      ...(this.#options.nodes ? this.#wayToKubelets() : []),
    ];
    const env = this.#options.small === false || this.#options.nodes ? {} : { GOGC: "50" };
    return Daemon.start(command, `${this.folder}/kube-apiserver.log`, env);
  }
}

function makePki(folder: string): Pki {
  mkdirSync(`${folder}/pki`);
  const pki = new Pki(`${folder}/pki`);
  pki.server("server");
  pki.server("proxy");
  pki.client("admin", "system:masters");
  pki.keyPair("tokens");
  return pki;
}

/** What it serves, and to whom. */
function scope({ small = true, nodes = false }: ApiServerOptions): string[] {
  if (nodes)
    return ["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged"];
  return [
    "--authorization-mode=RBAC",
    ...(small ? SMALL : ["--disable-admission-plugins=ServiceAccount", "--allow-privileged=true"]),
  ];
}

function auditArguments(folder: string): string[] {
  const rules = [{ level: "Metadata" }];
  const policy = { apiVersion: "audit.k8s.io/v1", kind: "Policy", omitStages: ["RequestReceived"], rules };
  writeFileSync(`${folder}/audit-policy.json`, JSON.stringify(policy));
  return [
    `--audit-policy-file=${folder}/audit-policy.json`,
    `--audit-log-path=${folder}/audit.log`,
    "--audit-log-mode=blocking",
  ];
}

/** Free ports of loopback, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
