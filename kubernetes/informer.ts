import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, type Cluster, type KubeObject, type Resource, type Selection, type WatchEvent } from "./cluster.ts";

export type ChangeType = Exclude<WatchEvent<KubeObject>["type"], "BOOKMARK">;

export interface InformerOptions<T> extends Omit<Selection, "signal"> {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called in order, after the picture has changed; of a DELETED object with the last known state. Must not throw. */
  readonly onChange?: (change: ChangeType, object: T) => void;
  /** Called when the server did not answer or refused; it goes on by itself. */
  readonly onError?: (error: Error) => void;
  /** Called each time that the picture was listed, or a watch has begun to tell: what onError said is over. */
  readonly onWell?: () => void;
  /**
   * Called before the differences are told when the server's versions went back: it was restored from a backup, or is
   * another one. What was written since that backup never was.
   */
  readonly onRestored?: (was: string, is: string) => void;
  /** A watch without a word for so long is given up: the server sends a bookmark every minute. Default 150 s. */
  readonly silentMs?: number;
  /** Everything is listed again when the picture is so old: what no watch tells of is seen then. Default: never. */
  readonly relistMs?: number;
  /** Within this time after a connection was lost the first attempt is made: many nodes lose the same server at once. Default 300 ms. */
  readonly spreadMs?: () => number;
}

/** Longest wait between attempts while the server does not answer. */
const LONGEST_MS = 30_000;
/** A watch that ends sooner than this, without a word, counts as a failure: else a broken proxy would be asked without pause. */
const TOO_SHORT_MS = 1000;
const SILENT_MS = 150_000;
const SPREAD_MS = 300;
/** Between two attempts of an informer that somebody waits for. */
const HURRIED_MS = 1000;
/** The server ends a watch after ten minutes at the earliest (api-cluster.ts): before, it has ended itself, or something between. */
const IN_TIME_MS = 590_000;

/**
 * A picture of some objects that follows the server: one list, then one watch that is renewed every 10 to 20 minutes.
 * After a lost connection the watch goes on where it was, if the server's versions have not gone back; when the server does
 * not know that place any more (410, or an etcd that was restored), everything is listed again and the differences are told.
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
  /** The highest version that the server has said. */
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

  /** Somebody waits for what the server says: the next attempt is made within a second, or within the spread. */
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
   * One watch from where the picture is, until it ends.
   *
   * @returns whether it ended in its time: else somebody ended it, or the connection, or it said nothing any more.
   * @throws {ApiError} when the server refuses, or does not know that place.
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
   * A server that was restored answers a watch from a version that it has not reached yet with silence, and then with other
   * events of the same versions. A list of one name, which need not exist, tells where it is: one key of etcd.
   *
   * @returns false when everything is to be listed again. @throws {ApiError}
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

  /** @param isAnew versions tell nothing: after a restore the same one may be of another content. */
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

  /** The first one within the spread, then doubled from 0.4 s; all spread: the agents of many nodes lose the same server at once. */
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

/** Ends a watch that does not speak any more. */
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

/** Versions of one server are numbers of one sequence, longer than a double holds (KEP-5504); what is none is compared with nothing. */
function isLower(version: string, than: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(than)) return false;
  return version.length === than.length ? version < than : version.length < than.length;
}

/** What the next attempt may not meet: no answer, or a server that starts and says so. The place in the watch is still good. */
const isPassing = (error: unknown): boolean =>
  error instanceof ApiError && [0, 429, 502, 503, 504].includes(error.status);

const key = ({ metadata: { namespace, name } }: KubeObject): string => (namespace ? `${namespace}/${name}` : name);
