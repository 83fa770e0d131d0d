import type { Log } from "../../../cni/host.ts";
import { CONFIG_MAP, type ConfigMap, type Mode, modeOf } from "../../../ipam/mode.ts";
import { CONFIG_MAPS } from "../../../kubernetes/cluster.ts";
import type { Informer } from "../../../kubernetes/informer.ts";
import { type FollowContext, follow } from "../follow.ts";

/** How addresses are claimed, according to the cluster's present settings. `coexist` until they are known. */
export class ModeWatch {
  readonly #log: Log;
  readonly #synced = Promise.withResolvers<void>();
  readonly #listeners = new Set<(mode: Mode) => void>();
  readonly #verified = new Set<(isVerified: boolean) => void>();
  readonly #restored = new Set<(was: string, is: string) => void>();
  readonly #settings = new Set<(settings: ConfigMap | undefined) => void>();
  #mode: Mode = "coexist";
  #epoch = "";
  #informer: Informer<ConfigMap> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Starts following the settings, until `signal`. */
  follow(context: FollowContext, signal: AbortSignal): void {
    const informer = follow<ConfigMap>(context, CONFIG_MAPS, {
      fieldSelector: `metadata.name=${CONFIG_MAP}`,
      signal,
      onVerified: (is) => tell(this.#verified, is),
      onRestored: (was, is) => tell(this.#restored, was, is),
      onChange: (change, settings) => this.#saw(change === "DELETED" ? undefined : settings),
    });
    this.#informer = informer;
    void informer.synced.then(this.#synced.resolve);
  }

  /** Somebody is waiting to hear what the settings say. */
  hurry(): void {
    this.#informer?.hurry();
  }

  /** Fulfilled once the settings have been read. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get mode(): Mode {
    return this.#mode;
  }

  /** Changes with every write of the settings: two changes of the mode may look like none. */
  get epoch(): string {
    return this.#epoch;
  }

  /** @returns a function that unsubscribes. */
  onChange(listener: (mode: Mode) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called with all settings, after every write. */
  onSettings(listener: (settings: ConfigMap | undefined) => void): void {
    this.#settings.add(listener);
  }

  /** Called when the connection was lost, so that the server may be another one, and when it is back. */
  onVerified(listener: (isVerified: boolean) => void): void {
    this.#verified.add(listener);
  }

  /** Called when the server's versions went backwards. */
  onRestored(listener: (was: string, is: string) => void): void {
    this.#restored.add(listener);
  }

  #saw(settings: ConfigMap | undefined): void {
    const { uid = "", resourceVersion = "" } = settings?.metadata ?? {};
    this.#epoch = `${uid} ${resourceVersion}`;
    tell(this.#settings, settings);
    const mode = modeOf(settings);
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#log.info({ mode }, "mode of the cluster's addresses");
    for (const listener of this.#listeners) listener(mode);
  }
}

function tell<A extends readonly unknown[]>(listeners: Iterable<(...args: A) => void>, ...args: A): void {
  for (const listener of listeners) listener(...args);
}
