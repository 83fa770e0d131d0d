import type { Log } from "../../../cni/host.ts";
import { CONFIG_MAP, type ConfigMap, HEAL_MS, HEALING, healingOf } from "../../../ipam/mode.ts";
import { ApiError, type Cluster, CONFIG_MAPS } from "../../../kubernetes/cluster.ts";
import { pause } from "../../loop.ts";

/** A claim waits no longer to hear which server it is: then it takes its chance. */
const VERIFY_MS = 5_000;

/** Between two tries to tell the others, while the API server does not do it. */
const RETRY_MS = 500;

export interface HealPeriodOptions {
  readonly cluster: Cluster;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Default {@link HEAL_MS}. */
  readonly healMs?: number;
}

/**
 * A time in which nobody claims an address, anywhere in the cluster, and every node puts back what its living sandboxes
 * hold. It begins when a node notices that reservations are lost which nobody gave back: etcd was restored from a backup,
 * or the definitions were made again. Whoever notices it writes so on the cluster's settings, which every agent follows.
 */
export class HealPeriod {
  readonly #options: Required<HealPeriodOptions>;
  readonly #listeners = new Set<() => void>();
  #why = "";
  #untilMs = Number.NEGATIVE_INFINITY;
  /** What the settings said last; undefined before they said anything. */
  #seen: string | undefined;
  #isTelling = false;
  /** Fulfilled when it is known again whether the server is the one of before. */
  #verified: PromiseWithResolvers<void> | undefined;

  constructor(options: HealPeriodOptions) {
    this.#options = { healMs: HEAL_MS, ...options };
  }

  /** Why no claim may be made now; undefined: it may. */
  hold(): string | undefined {
    const leftMs = this.#untilMs - performance.now();
    return leftMs > 0
      ? `${this.#why}; nodes put back what they hold for ${Math.ceil(leftMs / 1000)} s more`
      : undefined;
  }

  /** What a claim waits for, not too long, before it asks whether it may. */
  ready(): Promise<void> | undefined {
    const verified = this.#verified?.promise;
    return verified && Promise.race([verified, pause(VERIFY_MS, this.#options.signal)]);
  }

  /** @param is false when the connection was lost: the server that answers next may be one that was restored. */
  verified(is: boolean): void {
    if (!is) this.#verified ??= Promise.withResolvers<void>();
    else {
      this.#verified?.resolve();
      this.#verified = undefined;
    }
  }

  /** Called whenever a period begins, or begins anew. */
  onBegin(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** This node noticed a loss. @param why for people. */
  notice(why: string): void {
    this.#options.log.warn({ why }, "reservations are lost that nobody gave back: no claims until all nodes put theirs back"); // biome-ignore format: one line
    this.#begin(why);
    void this.#tell(why);
  }

  /** What the settings say now, whoever wrote it. */
  saw(settings: ConfigMap | undefined): void {
    const text = settings?.metadata.annotations?.[HEALING] ?? "";
    const before = this.#seen;
    this.#seen = text;
    if (text === before || text === "") return;
    // A fresh agent may find what is long over; one that followed the settings sees what has just been written.
    if (before === undefined && healingOf(settings, Date.now(), this.#options.healMs) === undefined) return;
    this.#begin(text);
  }

  #begin(why: string): void {
    this.#why = why;
    this.#untilMs = performance.now() + this.#options.healMs;
    for (const listener of this.#listeners) listener();
  }

  /** Until it is written, by this node or by another one: of all who notice the same at the same time one does it. */
  async #tell(why: string): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    const { cluster, node, signal, healMs, log } = this.#options;
    const startMs = performance.now();
    const text = `${new Date().toISOString()} ${node}: ${why}`;
    while (!signal.aborted && performance.now() - startMs < healMs)
      try {
        const settings = await cluster.get<ConfigMap>(CONFIG_MAPS, CONFIG_MAP, { signal });
        if (healingOf(settings, Date.now(), healMs / 2) !== undefined) break;
        const annotations = { [HEALING]: text };
        if (settings) {
          const { resourceVersion } = settings.metadata;
          await cluster.mergePatch(CONFIG_MAPS, CONFIG_MAP, { metadata: { resourceVersion, annotations } }, { signal });
        } else await cluster.create(CONFIG_MAPS, { metadata: { name: CONFIG_MAP, annotations } }, { signal });
        break;
      } catch (err) {
        if (!(err instanceof ApiError && err.status === 409)) log.debug({ err }, "the others are not told yet");
        await pause(RETRY_MS * (0.5 + Math.random()), signal);
      }
    this.#isTelling = false;
  }
}
