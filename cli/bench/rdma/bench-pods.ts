import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, type Cluster, EVENTS, type KubeObject, PODS } from "../../../kubernetes/cluster.ts";
import { BENCH_LABEL, type BenchSettings, JOBS, ownerOf, type PodOrder, podOf } from "./pods.ts";

/** A pod of a bench, as far as it is looked at. */
export interface PodSeen extends KubeObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly ready: boolean;
      readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
    }[];
  };
}

const LOOK_MS = 1_000;
const GONE_MS = 90_000;
/** What a container waits for in vain. */
const IN_VAIN = ["ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"]; // biome-ignore format: one row

/** The pods of one bench in a cluster, all of one owner. Removing it, by whomever, removes them. */
export class BenchPods implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #settings: BenchSettings;
  readonly #warn: (line: string) => void;
  readonly #at: { readonly namespace: string };

  private constructor(cluster: Cluster, settings: BenchSettings, warn: (line: string) => void) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#warn = warn;
    this.#at = { namespace: settings.namespace };
  }

  /** @throws {ApiError} when the API server refuses one; then nothing is left. */
  static async create(
    cluster: Cluster,
    settings: BenchSettings,
    orders: readonly PodOrder[],
    warn: (line: string) => void,
  ): Promise<BenchPods> {
    const pods = new BenchPods(cluster, settings, warn);
    try {
      const owner = await cluster.create(JOBS, ownerOf(settings), pods.#at);
      for (const order of orders) await cluster.create<KubeObject>(PODS, podOf(settings, owner, order), pods.#at);
      return pods;
    } catch (error) {
      await pods[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Waits until each pod runs or cannot. @returns those that run, and of the others why.
   *
   * @param say how many run so far.
   */
  async ready(
    orders: readonly PodOrder[],
    { signal, limitMs, say }: { readonly signal: AbortSignal; readonly limitMs: number; say(running: number): void },
  ): Promise<Map<string, PodSeen | string>> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const seen = new Map((await this.#list(signal)).map((pod) => [pod.metadata.name, pod]));
      const states = orders.map(({ name }) => ({ name, pod: seen.get(name), why: whyNever(seen.get(name)) }));
      const running = states.filter(({ pod }) => pod && runs(pod));
      say(running.length);
      const isOver = performance.now() >= endMs;
      if (isOver || states.every(({ pod, why }) => why || (pod && runs(pod)))) {
        const events = await this.#events(signal);
        return new Map(states.map(({ name, pod, why }) => [name, pod && runs(pod) ? pod : `its pod ${name} ${why ?? `did not run within ${limitMs / 1000} s`}${hint(pod, events.get(name))}`])); // biome-ignore format: one row
      }
      await sleep(LOOK_MS, undefined, { signal });
    }
  }

  /** All of it, also after Ctrl-C; says what could not be removed, which then goes by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { id, namespace, seconds } = this.#settings;
    const left = `its objects of label ${BENCH_LABEL}=${id} in namespace ${namespace}`;
    try {
      await this.#cluster.delete(JOBS, id, {}, this.#at);
      const pods = await this.#list();
      await Promise.all(pods.map(({ metadata }) => this.#cluster.delete(PODS, metadata.name, {}, this.#at)));
      const endMs = performance.now() + GONE_MS;
      while ((await this.#list()).length > 0) {
        if (performance.now() > endMs) return this.#warn(`${left} take long to end; nothing has to be done`);
        await sleep(LOOK_MS);
      }
    } catch (error) {
      this.#warn(`cannot remove ${left}: ${(error as Error).message}; they end by themselves after ${seconds} s`);
    }
  }

  async #list(signal?: AbortSignal): Promise<readonly PodSeen[]> {
    const labelSelector = `${BENCH_LABEL}=${this.#settings.id}`;
    return (await this.#cluster.list<PodSeen>(PODS, { ...this.#at, labelSelector, signal })).items;
  }

  /** The last warning of each pod, such as `FailedCreatePodSandBox: …`. */
  async #events(signal: AbortSignal): Promise<Map<string, string>> {
    type Event = KubeObject & { readonly type?: string; readonly reason?: string; readonly message?: string; readonly involvedObject?: { readonly name?: string } }; // biome-ignore format: one row
    try {
      const { items } = await this.#cluster.list<Event>(EVENTS, { ...this.#at, fieldSelector: "type=Warning", signal });
      return new Map(
        items.map(({ involvedObject, reason, message }) => [involvedObject?.name ?? "", `${reason}: ${message}`]),
      );
    } catch (error) {
      if (error instanceof ApiError) return new Map(); // who may not read them still gets the rest
      throw error;
    }
  }
}

const runs = ({ status, metadata }: PodSeen): boolean =>
  status?.phase === "Running" && !metadata.deletionTimestamp && !!status.containerStatuses?.every(({ ready }) => ready);

/** Undefined as long as it may still run. */
function whyNever(pod: PodSeen | undefined): string | undefined {
  const { phase, reason, message, containerStatuses } = pod?.status ?? {};
  if (phase === "Failed" || phase === "Succeeded") return `ended: ${[reason, message].filter(Boolean).join(": ")}`;
  const waiting = containerStatuses?.[0]?.state?.waiting;
  if (waiting && IN_VAIN.includes(waiting.reason ?? ""))
    return `waits for its image: ${waiting.reason}: ${waiting.message}`;
  return undefined;
}

function hint(pod: PodSeen | undefined, event: string | undefined): string {
  const unscheduled = pod?.status?.conditions?.find(
    ({ type, status }) => type === "PodScheduled" && status === "False",
  );
  const why = unscheduled?.message ?? event;
  return why ? `: ${why}` : "";
}
