import type { Json, RawClient } from "../cluster/raw.ts";
import { until } from "../until.ts";
import { PAUSE } from "./image.ts";

const NAMESPACE = "/api/v1/namespaces/default";
const ANNOTATIONS = "k8s.v1.cni.cncf.io";
/** Allows for a busy machine: the kubelet looks at a pod again after at most a minute. */
const LIMIT_MS = 150_000;

export interface PodOptions {
  /** Names of NetworkAttachmentDefinitions. */
  readonly networks?: readonly string[];
  /** Limits of its container, such as `{ "railnet.io/rail0": 1 }`. */
  readonly resources?: Readonly<Record<string, number>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A pod of one container that only has to exist. */
export function podObject(name: string, { networks = [], resources = {}, labels = {} }: PodOptions = {}): Json {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels, annotations: { [`${ANNOTATIONS}/networks`]: networks.join(",") } },
    spec: {
      terminationGracePeriodSeconds: 5,
      containers: [{ name: "main", image: PAUSE, imagePullPolicy: "Never", resources: { limits: resources } }],
    },
  };
}

/** One entry of Multus' network-status. */
export interface NetworkStatus {
  readonly name: string;
  readonly interface: string;
  readonly ips?: readonly string[];
  readonly mac?: string;
  readonly mtu?: number;
  readonly "device-info"?: Json;
}

/** Pods of namespace `default`, as its user sees them. */
export class Pods {
  readonly #raw: RawClient;
  readonly #limitMs: number;
  readonly #everyMs: number;

  constructor(raw: RawClient, { limitMs = LIMIT_MS, everyMs = 100 } = {}) {
    this.#raw = raw;
    this.#limitMs = limitMs;
    this.#everyMs = everyMs;
  }

  async create(name: string, options: PodOptions = {}): Promise<void> {
    await this.#raw.post(`${NAMESPACE}/pods`, podObject(name, options));
  }

  async get(name: string): Promise<Json | undefined> {
    const { status, body } = await this.#raw.request("GET", `${NAMESPACE}/pods/${name}`);
    return status === 404 ? undefined : body;
  }

  /** Waits until it runs. @throws {Error} with its events if it does not. */
  async running(name: string): Promise<Json> {
    let pod: Json;
    const runs = async () => {
      pod = await this.get(name);
      return pod?.status?.phase === "Running" && pod.status.containerStatuses?.[0]?.ready;
    };
    await until(`pod ${name} runs`, runs, { limitMs: this.#limitMs, everyMs: this.#everyMs }).catch(async (error) => {
      throw new Error(`${error.message}: ${(await this.events(name)).join("\n")}`);
    });
    return pod;
  }

  async start(name: string, options: PodOptions = {}): Promise<Json> {
    await this.create(name, options);
    return this.running(name);
  }

  /** Deletes it, as `kubectl delete` does: the kubelet takes it down first. */
  async delete(name: string): Promise<void> {
    await this.#raw.request("DELETE", `${NAMESPACE}/pods/${name}`);
  }

  async gone(name: string): Promise<void> {
    await until(`pod ${name} is gone`, async () => (await this.get(name)) === undefined, {
      limitMs: this.#limitMs,
      everyMs: this.#everyMs,
    });
  }

  async remove(...names: string[]): Promise<void> {
    await Promise.all(names.map((name) => this.delete(name)));
    await Promise.all(names.map((name) => this.gone(name)));
  }

  /** `reason: message` of all events of a pod. */
  async events(name: string): Promise<string[]> {
    const events = await this.#raw.list(`${NAMESPACE}/events?fieldSelector=involvedObject.name%3D${name}`);
    return events.map(({ reason, message }) => `${reason}: ${message}`);
  }
}

/** What Multus reports about a pod's networks, without the cluster's own. */
export function networkStatus(pod: Json): NetworkStatus[] {
  const all: NetworkStatus[] = JSON.parse(pod.metadata.annotations[`${ANNOTATIONS}/network-status`]);
  return all.filter(({ interface: name }) => name !== "eth0");
}
