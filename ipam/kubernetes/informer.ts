import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, type Cluster, type KubeObject, type Resource, type Selection, type WatchEvent } from "./cluster.ts";

export type Change = Exclude<WatchEvent<KubeObject>["type"], "BOOKMARK">;

export interface InformerOptions<T> extends Omit<Selection, "signal"> {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called in order, after the picture has changed; of a DELETED object with the last known state. Must not throw. */
  readonly onChange?: (change: Change, object: T) => void;
  /** Called when the server did not answer or refused; it goes on by itself. */
  readonly onError?: (error: Error) => void;
}

/** Longest wait between attempts while the server does not answer. */
const LONGEST_MS = 30_000;
/** A watch that ends sooner than this, without a word, counts as a failure: else a broken proxy would be asked without pause. */
const TOO_SHORT_MS = 1000;

/**
 * A picture of some objects that follows the server: one list, then one watch that is renewed every 5 to 10 minutes.
 * After a lost connection the watch goes on where it was; when the server does not know that place any more (410, or an
 * etcd that was restored), everything is listed again and the differences are told.
 */
export class Informer<T extends KubeObject> {
  /** The picture was complete once. Never fulfilled when `signal` comes first. */
  readonly synced: Promise<void>;
  readonly #objects = new Map<string, T>();
  readonly #cluster: Cluster;
  readonly #resource: Resource;
  readonly #options: InformerOptions<T>;
  #wasSynced = () => {};
  #failures = 0;

  private constructor(cluster: Cluster, resource: Resource, options: InformerOptions<T>) {
    this.#cluster = cluster;
    this.#resource = resource;
    this.#options = options;
    this.synced = new Promise((resolve) => (this.#wasSynced = resolve));
  }

  /** Starts to follow; returns at once. */
  static start<T extends KubeObject>(cluster: Cluster, resource: Resource, options: InformerOptions<T>): Informer<T> {
    const informer = new Informer<T>(cluster, resource, options);
    void informer.#run();
    return informer;
  }

  /** By `namespace/name`; only the name for what has no namespace. May lag behind the server. */
  get objects(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  async #run(): Promise<void> {
    const { signal } = this.#options;
    let version: string | undefined;
    while (!signal.aborted)
      try {
        version ??= await this.#list();
        version = await this.#follow(version);
      } catch (error) {
        if (signal.aborted) return;
        version = undefined;
        this.#options.onError?.(error as Error);
        await this.#pause();
      }
  }

  async #list(): Promise<string> {
    const { items, resourceVersion } = await this.#cluster.list<T>(this.#resource, this.#options);
    this.#failures = 0;
    const gone = new Set(this.#objects.keys());
    for (const item of items) {
      gone.delete(key(item));
      this.#compare(item);
    }
    for (const name of gone) this.#remove(name);
    this.#wasSynced();
    return resourceVersion;
  }

  /** @returns where the next watch begins, also after a lost connection. @throws {ApiError} when that place is not known. */
  async #follow(from: string): Promise<string> {
    const begin = performance.now();
    let version = from;
    try {
      for await (const { type, object } of this.#cluster.watch<T>(this.#resource, {
        ...this.#options,
        resourceVersion: from,
      })) {
        version = object.metadata.resourceVersion ?? version;
        this.#failures = 0;
        if (type === "DELETED") this.#remove(key(object), object);
        else if (type !== "BOOKMARK") this.#compare(object);
      }
    } catch (error) {
      if (!isLostConnection(error)) throw error;
      this.#options.onError?.(error as Error);
      await this.#pause();
      return version;
    }
    if (version === from && performance.now() - begin < TOO_SHORT_MS) await this.#pause();
    return version;
  }

  #compare(object: T): void {
    const name = key(object);
    const known = this.#objects.get(name);
    if (known && known.metadata.uid !== object.metadata.uid) this.#remove(name);
    else if (known && known.metadata.resourceVersion === object.metadata.resourceVersion) return;
    const change = this.#objects.has(name) ? "MODIFIED" : "ADDED";
    this.#objects.set(name, object);
    this.#options.onChange?.(change, object);
  }

  #remove(name: string, last = this.#objects.get(name)): void {
    if (this.#objects.delete(name)) this.#options.onChange?.("DELETED", last!);
  }

  /** Doubles from 0.2 s, and is spread: the agents of many nodes lose the same server at once. */
  async #pause(): Promise<void> {
    const ms = Math.min(LONGEST_MS, 200 * 2 ** this.#failures++) * (0.5 + Math.random());
    await sleep(ms, undefined, { signal: this.#options.signal }).catch(() => {});
  }
}

const isLostConnection = (error: unknown): boolean => error instanceof ApiError && error.status === 0;

const key = ({ metadata: { namespace, name } }: KubeObject): string => (namespace ? `${namespace}/${name}` : name);
