import { spawn } from "node:child_process";
import { environment } from "./environment.ts";
import type { ClusterEntry, ExecEntry } from "./kubeconfig.ts";

/** Output of a kubeconfig's `exec` program: client.authentication.k8s.io, `ExecCredential.status`. */
export interface ExecCredential {
  readonly token?: string;
  readonly clientCertificateData?: string;
  readonly clientKeyData?: string;
  /** RFC 3339. */
  readonly expirationTimestamp?: string;
}

const GROUP = "client.authentication.k8s.io";

/** Nobody is there to answer a prompt, and an ADD is waiting. */
const TIME_LIMIT_MS = 20_000;

/** Caches the program's credentials until they expire. */
export class ExecCredentials {
  readonly #exec: ExecEntry;
  readonly #info: object;
  #known: ExecCredential | undefined;

  constructor(exec: ExecEntry, cluster: ClusterEntry & { readonly server: string }) {
    this.#exec = exec;
    this.#info = exec.provideClusterInfo ? { cluster: infoOf(cluster) } : {};
  }

  /** @param isFresh the server refused the last credentials. @throws {Error} that names the command. */
  async get(isFresh: boolean): Promise<ExecCredential> {
    const until = Date.parse(this.#known?.expirationTimestamp ?? "");
    const isGood = this.#known && !isFresh && !(until <= Date.now());
    if (!isGood) this.#known = await this.#ask();
    return this.#known!;
  }

  async #ask(): Promise<ExecCredential> {
    const { command, apiVersion = "", interactiveMode, installHint } = this.#exec;
    const cannot = (why: string) => new Error(`cannot get credentials by ${command}: ${why}`);
    if (!command) throw new Error("its exec names no command");
    if (!apiVersion.startsWith(`${GROUP}/`))
      throw cannot(`its apiVersion ${JSON.stringify(apiVersion)} is not of ${GROUP}`);
    if (interactiveMode === "Always") throw cannot("its interactiveMode is Always, and nobody can answer");
    const info = { apiVersion, kind: "ExecCredential", spec: { interactive: false, ...this.#info } };
    const hint = installHint ? `; ${installHint.trim()}` : "";
    const stdout = await run(this.#exec, { KUBERNETES_EXEC_INFO: JSON.stringify(info) }).catch((error) => {
      throw cannot(`${(error as Error).message}${hint}`);
    });
    return credentialOf(stdout, apiVersion, cannot);
  }
}

function credentialOf(stdout: string, apiVersion: string, cannot: (why: string) => Error): ExecCredential {
  let said: { apiVersion?: string; status?: ExecCredential };
  try {
    said = JSON.parse(stdout);
  } catch {
    throw cannot("what it printed is not JSON");
  }
  if (said?.apiVersion !== apiVersion)
    throw cannot(`it answered with apiVersion ${JSON.stringify(said?.apiVersion)}, want ${apiVersion}`);
  const { token, clientCertificateData: cert, clientKeyData: key } = said.status ?? {};
  if (!token && !(cert && key)) throw cannot("it gave neither a token nor a certificate with its key");
  return said.status!;
}

/** `ExecCredential.spec.cluster`. */
function infoOf(cluster: ClusterEntry & { readonly server: string }): object {
  const { server, extensions = [] } = cluster;
  return {
    server,
    "tls-server-name": cluster["tls-server-name"],
    "insecure-skip-tls-verify": cluster["insecure-skip-tls-verify"],
    "certificate-authority-data": cluster["certificate-authority-data"],
    "proxy-url": cluster["proxy-url"],
    config: extensions.find(({ name }) => name === `${GROUP}/exec`)?.extension,
  };
}

function run({ command, args, env }: ExecEntry, info: Readonly<Record<string, string>>): Promise<string> {
  const given = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
  return new Promise((resolve, reject) => {
    const child = spawn(command, args ?? [], {
      env: { ...environment(), ...given, ...info },
      stdio: ["ignore", "pipe", "pipe"],
      signal: AbortSignal.timeout(TIME_LIMIT_MS),
      killSignal: "SIGKILL",
    });
    const said = { out: "", err: "" };
    child.stdout.setEncoding("utf8").on("data", (text) => (said.out += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (said.err += text));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(said.out);
      else reject(new Error(`${said.err.trim().slice(-300) || "it failed"} (${signal ?? `exit ${code}`})`));
    });
  });
}
