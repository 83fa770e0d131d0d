import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, type Cluster, type KubeObject, type Resource, type Selection, type WatchEvent } from "./cluster.ts";

export type ChangeType = Exclude<WatchEvent<KubeObject>["type"], "BOOKMARK">;

export interface InformerOptions<T> extends Omit<Selection, "signal"> {
  /** Stops the informer. */
  readonly signal: AbortSignal;
  /** Called in order, after the cache has been updated; for a DELETED object with the last known state. Must not throw. */
  readonly onChange?: (change: ChangeType, object: T) => void;
  /** Called when the server did not answer or refused; the informer keeps trying. */
  readonly onError?: (error: Error) => void;
  /** Called after each list, and when a watch starts to deliver: the problem that onError reported is over. */
  readonly onWell?: () => void;
  /**
   * Called before the differences are delivered when the server's versions went backwards: it was restored from a backup,
   * or is another server. What was written since that backup is lost.
   */
  readonly onRestored?: (was: string, is: string) => void;
  /** A watch that is silent for this long is given up: the server sends a bookmark every minute. Default 150 s. */
  readonly silentMs?: number;
  /** Everything is listed again at this interval, to see what no watch reports. Default: never. */
  readonly relistMs?: number;
  /** The first attempt after a lost connection is made within this time: many nodes lose the same server at once. Default 300 ms. */
  readonly spreadMs?: () => number;
}

/** Longest pause between attempts while the server does not answer. */
const LONGEST_MS = 30_000;
/** A watch that ends sooner than this without an event counts as a failure: otherwise a broken proxy would be asked without pause. */
const TOO_SHORT_MS = 1000;
const SILENT_MS = 150_000;
const SPREAD_MS = 300;
/** Pause between attempts of an informer that somebody waits for. */
const HURRIED_MS = 1000;
/** The server ends a watch after ten minutes at the earliest (api-cluster.ts): any sooner, it stopped, or something in between did. */
const IN_TIME_MS = 590_000;

/**
 * A cache of objects that follows the server: one list, then one watch that is renewed every 10 to 20 minutes. After a
 * lost connection the watch resumes where it was, unless the server's versions have gone backwards; when the server no
 * longer knows that version (410, or a restored etcd), everything is listed again and the differences are delivered.
 */
export class Informer<T extends KubeObject> {
  /** Fulfilled when the cache is complete for the first time; never if `signal` comes first. */
  readonly synced: Promise<void>;
  readonly #objects = new Map<string, T>();
  readonly #cluster: Cluster;
  readonly #resource: Resource;
  readonly #options: InformerOptions<T>;
  #wasSynced = () => {};
  #failures = 0;
  /** The highest version that the server has sent. */
  #version: string | undefined;
  #listedMs = 0;
  /** Ends the pause before the next attempt. */
  #hurry = new AbortController();

  private constructor(cluster: Cluster, resource: Resource, options: InformerOptions<T>) {
    this.#cluster = cluster;
    this.#resource = resource;
    this.#options = options;
    this.synced = new Promise((resolve) => (this.#wasSynced = resolve));
  }

  /** Starts following; returns at once. */
  static start<T extends KubeObject>(cluster: Cluster, resource: Resource, options: InformerOptions<T>): Informer<T> {
    const informer = new Informer<T>(cluster, resource, options);
    void informer.#run();
    return informer;
  }

  /** By `namespace/name`; by name only for cluster-scoped objects. May lag behind the server. */
  get objects(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  /** Somebody is waiting for the server: the next attempt is made within a second, or within the spread. */
  hurry(): void {
    this.#hurry.abort();
  }

  async #run(): Promise<void> {
    const { signal, relistMs = Number.POSITIVE_INFINITY } = this.#options;
    let isListed = false;
    while (!signal.aborted)
      try {
        if (!isListed || performance.now() - this.#listedMs >= relistMs) await this.#list();
        isListed = false;
        isListed = (await this.#follow()) || (await this.#isSameHistory());
      } catch (error) {
        if (signal.aborted) return;
        this.#options.onError?.(error as Error);
        await this.#pause();
      }
  }

  async #list(): Promise<void> {
    const { items, resourceVersion } = await this.#cluster.list<T>(this.#resource, this.#options);
    this.#failures = 0;
    this.#listedMs = performance.now();
    const isRestored = this.#version !== undefined && isLower(resourceVersion, this.#version);
    if (isRestored) this.#options.onRestored?.(this.#version!, resourceVersion);
    this.#version = resourceVersion;
    const gone = new Set(this.#objects.keys());
    for (const item of items) {
      gone.delete(key(item));
      this.#compare(item, isRestored);
    }
    for (const name of gone) this.#remove(name);
    this.#options.onWell?.();
    this.#wasSynced();
  }

  /**
   * One watch from the version of the cache, until it ends.
   *
   * @returns whether it ended at its time; otherwise the server or the connection ended it, or it fell silent.
   * @throws {ApiError} when the server refuses, or no longer knows that version.
   */
  async #follow(): Promise<boolean> {
    const { silentMs = SILENT_MS } = this.#options;
    const begin = performance.now();
    const from = this.#version!;
    using silence = new Silence(silentMs, this.#options.signal);
    try {
      const selection = { ...this.#options, signal: silence.signal, resourceVersion: from };
      for await (const { type, object } of this.#cluster.watch<T>(this.#resource, selection)) {
        silence.broken();
        this.#saw(object);
        if (type === "DELETED") this.#remove(key(object), object);
        else if (type !== "BOOKMARK") this.#compare(object);
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.#options.onError?.(error as Error);
      await this.#pause();
      return false;
    }
    if (silence.isOver) {
      this.#options.onError?.(
        new ApiError(`the watch of ${this.#resource.plural} said nothing for ${silentMs / 1000} s`),
      );
      return false;
    }
    if (this.#version === from && performance.now() - begin < TOO_SHORT_MS) await this.#pause();
    return performance.now() - begin >= IN_TIME_MS;
  }

  #saw({ metadata: { resourceVersion } }: T): void {
    if (resourceVersion !== undefined) this.#version = resourceVersion;
    this.#failures = 0;
    this.#options.onWell?.();
  }

  /**
   * A restored server answers a watch from a version that it has not reached yet with silence, and later with other events
   * of the same versions. A list of one name, which need not exist, tells where the server is: a read of one key in etcd.
   *
   * @returns false when everything must be listed again. @throws {ApiError}
   */
  async #isSameHistory(): Promise<boolean> {
    const { signal, namespace, fieldSelector = "" } = this.#options;
    const one = fieldSelector.startsWith("metadata.name=") ? fieldSelector : "metadata.name=railnet-check";
    const selection = { fieldSelector: one, metadataOnly: true, signal, ...(namespace !== undefined && { namespace }) };
    for (;;)
      try {
        const { resourceVersion } = await this.#cluster.list(this.#resource, selection);
        this.#failures = 0;
        return !isLower(resourceVersion, this.#version!);
      } catch (error) {
        if (!isPassing(error) || signal.aborted) throw error;
        this.#options.onError?.(error as Error);
        await this.#pause();
      }
  }

  /** @param isAnew after a restore versions prove nothing: the same one may have other content. */
  #compare(object: T, isAnew = false): void {
    const name = key(object);
    const known = this.#objects.get(name);
    if (known && known.metadata.uid !== object.metadata.uid) this.#remove(name);
    else if (known && !isAnew && known.metadata.resourceVersion === object.metadata.resourceVersion) return;
    const change = this.#objects.has(name) ? "MODIFIED" : "ADDED";
    this.#objects.set(name, object);
    this.#options.onChange?.(change, object);
  }

  #remove(name: string, last = this.#objects.get(name)): void {
    if (this.#objects.delete(name)) this.#options.onChange?.("DELETED", last!);
  }

  /** The first within the spread, then doubled from 0.4 s; all randomized, since the agents of many nodes lose the same server at once. */
  async #pause(): Promise<void> {
    const first = this.#options.spreadMs?.() ?? SPREAD_MS;
    const ms =
      this.#failures++ === 0
        ? first * Math.random()
        : Math.min(LONGEST_MS, 200 * 2 ** (this.#failures - 1)) * (0.5 + Math.random());
    const least = Math.min(ms, Math.max(HURRIED_MS, first));
    this.#hurry = new AbortController();
    const { signal } = this.#options;
    await pause(least, signal);
    await pause(ms - least, AbortSignal.any([signal, this.#hurry.signal]));
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}

/** Ends a watch that has fallen silent. */
class Silence implements Disposable {
  readonly #controller = new AbortController();
  readonly signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;

  constructor(limitMs: number, outer: AbortSignal) {
    this.signal = AbortSignal.any([outer, this.#controller.signal]);
    this.#timer = setTimeout(() => this.#controller.abort(), limitMs).unref();
  }

  get isOver(): boolean {
    return this.#controller.signal.aborted;
  }

  broken(): void {
    this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** Versions of one server are numbers in one sequence, longer than a double can hold (KEP-5504); anything else is not comparable. */
function isLower(version: string, than: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(than)) return false;
  return version.length === than.length ? version < than : version.length < than.length;
}

/** Errors that the next attempt may not meet: no answer, or a server that says it is starting. The watch's version is still good. */
const isPassing = (error: unknown): boolean =>
  error instanceof ApiError && [0, 429, 502, 503, 504].includes(error.status);

const key = ({ metadata: { namespace, name } }: KubeObject): string => (namespace ? `${namespace}/${name}` : name);
