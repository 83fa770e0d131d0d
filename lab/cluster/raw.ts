import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server sent
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Json;
}

export interface RawOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** Instead of the client certificate. */
  readonly token?: string;
}

const PLURALS: Readonly<Record<string, string>> = {
  NetworkAttachmentDefinition: "network-attachment-definitions",
  ValidatingAdmissionPolicy: "validatingadmissionpolicies",
  MutatingAdmissionPolicy: "mutatingadmissionpolicies",
};
const CLUSTER_WIDE =
  /^(Namespace|Node|ClusterRole|ClusterRoleBinding|CustomResourceDefinition|(Validating|Mutating)AdmissionPolicy(Binding)?|RailNode|RailNetwork)$/;

/** `/api/v1/namespaces/default/pods/x` of an object. */
export function pathOf({ apiVersion, kind, metadata }: Json): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const namespace = CLUSTER_WIDE.test(kind) ? "" : `/namespaces/${metadata.namespace ?? "kube-system"}`;
  return `${root}${namespace}/${PLURALS[kind] ?? `${kind.toLowerCase()}s`}/${metadata.name}`;
}

/** How long a server that says "storage is (re)initializing" is asked again. */
const TOO_EARLY_MS = 30_000;

/** The API server as an administrator sees it, without any of the product's code: for state checks and preparation. */
export class RawClient {
  readonly #url: string;
  readonly #agent: Agent;
  readonly #anonymous: Agent;

  constructor(url: string, pki: { path(file: string): string }) {
    const [ca, cert, key] = ["ca.crt", "admin.crt", "admin.key"].map((file) => readFileSync(pki.path(file)));
    this.#url = url;
    this.#agent = new Agent({ ca: ca!, cert: cert!, key: key!, keepAlive: true, maxSockets: 8 });
    this.#anonymous = new Agent({ ca: ca!, maxSockets: 8 });
  }

  /** Any status is an answer. @throws {Error} if there is none. */
  request(method: string, path: string, options: RawOptions = {}): Promise<Answer> {
    const { body, token, contentType = "application/json", accept = "application/json" } = options;
    const data = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const headers: Record<string, string> = { Accept: accept };
    if (token) headers["Authorization"] = `Bearer ${token}`;
    if (data !== undefined)
      Object.assign(headers, { "Content-Type": contentType, "Content-Length": `${Buffer.byteLength(data)}` });
    return new Promise((resolve, reject) => {
      const sent = request(`${this.#url}${path}`, { method, headers, agent: token ? this.#anonymous : this.#agent });
      sent.on("error", reject);
      sent.on("response", async (response) => {
        try {
          const pieces: Buffer[] = [];
          for await (const piece of response) pieces.push(piece);
          const text = Buffer.concat(pieces).toString();
          const isJson = response.headers["content-type"]?.includes("json");
          resolve({ status: response.statusCode!, headers: response.headers, body: isJson ? JSON.parse(text) : text });
        } catch (error) {
          reject(error);
        }
      });
      sent.end(data);
    });
  }

  /** The object or list at a path. @throws {Error} with the server's message. */
  async get(path: string): Promise<Json> {
    return this.#good("GET", path, {});
  }

  /** `items` of a list. */
  async list(path: string): Promise<Json[]> {
    return (await this.get(path)).items;
  }

  /** Creates or changes an object to be as given (server-side apply); `yaml` is sent in its place. */
  async apply(object: Json, yaml?: string): Promise<Json> {
    const path = `${pathOf(object)}?fieldManager=test&force=true`;
    return this.#good("PATCH", path, { body: yaml ?? object, contentType: "application/apply-patch+yaml" });
  }

  /** RFC 7386. */
  async merge(path: string, patch: Json): Promise<Json> {
    return this.#good("PATCH", path, { body: patch, contentType: "application/merge-patch+json" });
  }

  async post(path: string, body: Json): Promise<Json> {
    return this.#good("POST", path, { body });
  }

  /** Immediately, without grace; a missing object is fine. */
  async delete(path: string): Promise<void> {
    const { status, body } = await this.#inTime("DELETE", path, { body: { gracePeriodSeconds: 0 } });
    if (status >= 300 && status !== 404) throw new Error(`DELETE ${path}: ${status} ${body.message ?? body}`);
  }

  close(): void {
    this.#agent.destroy();
    this.#anonymous.destroy();
  }

  async #good(method: string, path: string, options: RawOptions): Promise<Json> {
    const { status, body } = await this.#inTime(method, path, options);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${body.message ?? body}`);
    return body;
  }

  /** A 429 means that nothing was done: retried when the server says so. */
  async #inTime(method: string, path: string, options: RawOptions): Promise<Answer> {
    for (const limit = Date.now() + TOO_EARLY_MS; ; ) {
      const answer = await this.request(method, path, options);
      if (answer.status !== 429 || Date.now() > limit) return answer;
      await sleep((Number(answer.headers["retry-after"]) || 1) * 1000);
    }
  }
}
