import type { Log } from "../../../cni/host.ts";
import { CONFIG_MAP, type ConfigMap, DEFINED, HEAL_MS, HEALING, healingOf } from "../../../ipam/mode.ts";
import { ApiError, type Cluster, CONFIG_MAPS } from "../../../kubernetes/cluster.ts";
import { pause } from "../../loop.ts";

/** A claim waits no longer to learn which server it is: then it takes its chance. */
const VERIFY_MS = 5_000;

const BORN_AGAIN = "the definition of reservations was re-created, so all reservations are gone";

/** When the period in the settings began: `now node, begun: why`. NaN: there is none. */
const begunMs = ({ metadata: { annotations } }: ConfigMap = NONE): number =>
  Date.parse(/^\S+ \S+ (\S+): /.exec(annotations?.[HEALING] ?? "")?.[1] ?? "");
const NONE: ConfigMap = { metadata: { name: CONFIG_MAP } };

/** Pause between two attempts to tell the others, while the API server fails. */
const RETRY_MS = 500;

/** Between two looks of a claim that waits. */
const LOOK_MS = 500;

type Source = "reservations" | "settings";

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
 * A time in which nobody claims an address, anywhere in the cluster, and every node restores what its running sandboxes
 * hold. It begins when a node notices that reservations are lost which nobody released: etcd was restored from a backup,
 * or the definitions were created again. That node writes it into the cluster's settings, which every agent follows.
 *
 * The settings also name the definition of reservations to which all addresses belong, since those are deleted with it: if
 * it is another one, nobody claims before the leader has begun a period.
 */
export class HealPeriod {
  readonly #options: Required<HealPeriodOptions>;
  readonly #listeners = new Set<(why: string) => void>();
  #why = "";
  #untilMs = Number.NEGATIVE_INFINITY;
  /** What the settings said last; undefined before they were read. */
  #seen: string | undefined;
  /** The part of that which stays the same when a period is prolonged. */
  #told: string | undefined;
  #isTelling = false;
  /** UID of the definition of reservations: in the settings, and actual. Empty: unknown, or there is none. */
  #marked = "";
  #defined = "";
  readonly #definedKnown = Promise.withResolvers<void>();
  /** Until when, at most, claims are refused because the definition is unknown. */
  #unknownUntilMs: number;
  #isLeading = false;
  /** Sources with a lost connection: the server that answers next may be one that was restored. */
  readonly #unverified = new Set<Source>();
  /** Fulfilled when it is known again whether the server is the same one. */
  #verified: PromiseWithResolvers<void> | undefined;
  readonly #waiting = new Set<() => void>();

  constructor(options: HealPeriodOptions) {
    this.#options = { healMs: HEAL_MS, ...options };
    this.#unknownUntilMs = performance.now() + this.#options.healMs;
  }

  /** Why no claim may be made now; undefined if it may. */
  hold(): string | undefined {
    const leftMs = this.#untilMs - performance.now();
    if (leftMs > 0) return `${this.#why}; nodes have ${Math.ceil(leftMs / 1000)} s more to restore their reservations`;
    if (this.#marked !== "" && performance.now() < this.#unknownUntilMs)
      return "not yet known whether the definition of reservations was re-created";
    return this.#isBornAgain ? `${BORN_AGAIN}, and the leader has yet to let the nodes restore theirs` : undefined;
  }

  get #isBornAgain(): boolean {
    return this.#marked !== "" && this.#defined !== "" && this.#marked !== this.#defined;
  }

  /** What a claim awaits, for a limited time, before it asks whether it may. */
  ready(): Promise<void> | undefined {
    const isKnown = this.#unknownUntilMs < performance.now();
    if (isKnown && !this.#verified) return undefined;
    const all = Promise.all([this.#verified?.promise, isKnown || this.#definedKnown.promise]).then(() => {});
    return this.#wait(all);
  }

  async #wait(all: Promise<void>): Promise<void> {
    const { signal } = this.#options;
    let isOver = false;
    void all.then(() => (isOver = true));
    for (let waitedMs = 0; !isOver && waitedMs < VERIFY_MS && !signal.aborted; waitedMs += LOOK_MS) {
      for (const hurry of this.#waiting) hurry();
      await Promise.race([all, pause(LOOK_MS, signal)]);
    }
  }

  /** @param hurry called while a claim waits to learn which server it is. */
  onWait(hurry: () => void): void {
    this.#waiting.add(hurry);
  }

  /** @param is false when a connection was lost: the settings tell what others noticed, the reservations what this node lost. */
  verified(source: Source, is: boolean): void {
    if (is) this.#unverified.delete(source);
    else this.#unverified.add(source);
    if (this.#unverified.size > 0) this.#verified ??= Promise.withResolvers<void>();
    else {
      this.#verified?.resolve();
      this.#verified = undefined;
    }
  }

  /**
   * Called whenever a period begins: with what this node knows of it, then with what all do; not when it is prolonged.
   *
   * @returns a function that unsubscribes.
   */
  onBegin(listener: (why: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param uid the present one of the definition of reservations; empty if there is none. */
  defined(uid: string): void {
    this.#defined = uid;
    this.#unknownUntilMs = Number.NEGATIVE_INFINITY;
    this.#definedKnown.resolve();
    this.#mark();
  }

  /** This node leads until `signal`: it writes which definition the addresses belong to. */
  lead(signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#isLeading = true;
    signal.addEventListener("abort", () => (this.#isLeading = false), { once: true });
    this.#mark();
  }

  get healMs(): number {
    return this.#options.healMs;
  }

  /** What all know of the present period, from the settings; undefined: there is none, or only this node knows. */
  get agreed(): string | undefined {
    return this.#untilMs > performance.now() && this.#why === this.#told ? this.#told : undefined;
  }

  /** As the leader: not all nodes have restored yet what they hold. Does nothing once the period is over. @throws {ApiError} */
  async prolong(signal: AbortSignal): Promise<void> {
    if (!this.agreed) return;
    const annotations = { [HEALING]: `${new Date().toISOString()} ${this.agreed}` };
    await this.#options.cluster.mergePatch(CONFIG_MAPS, CONFIG_MAP, { metadata: { annotations } }, { signal });
  }

  /** This node noticed a loss. @param why for people. */
  notice(why: string): void {
    this.#options.log.warn({ why }, "reservations were lost: no claims until all nodes have restored theirs");
    const said = this.#inFull(why);
    this.#begin(said);
    void this.#tell({ [HEALING]: said });
  }

  /** The present settings, whoever wrote them. */
  saw(settings: ConfigMap | undefined): void {
    const { annotations } = settings?.metadata ?? {};
    this.#marked = annotations?.[DEFINED] ?? "";
    this.#sawHealing(annotations?.[HEALING] ?? "", settings);
    this.#mark();
  }

  #sawHealing(text: string, settings: ConfigMap | undefined): void {
    const before = this.#seen;
    this.#seen = text;
    if (text === before || text === "") return;
    // A new agent may find one that is long over; one that followed the settings sees what has just been written.
    if (before === undefined && healingOf(settings, Date.now(), this.#options.healMs) === undefined) return;
    const why = text.slice(text.indexOf(" ") + 1);
    const isLonger = this.agreed === why;
    this.#told = why;
    this.#begin(why, isLonger);
  }

  #begin(why: string, isLonger = false): void {
    this.#why = why;
    this.#untilMs = performance.now() + this.#options.healMs;
    if (!isLonger) for (const listener of this.#listeners) listener(why);
  }

  /** As the leader: the change of the definition is noted in the same write that begins the period. */
  #mark(): void {
    if (
      !this.#isLeading ||
      this.#isTelling ||
      this.#seen === undefined ||
      this.#defined === "" ||
      this.#marked === this.#defined
    )
      return;
    const definition = { [DEFINED]: this.#defined };
    if (this.#marked === "") return void this.#tell(definition);
    this.#options.log.warn(
      { was: this.#marked, is: this.#defined },
      `${BORN_AGAIN}: no claims until all nodes have restored theirs`,
    );
    const said = this.#inFull(BORN_AGAIN);
    this.#begin(said);
    void this.#tell({ ...definition, [HEALING]: said });
  }

  /** Equal to no other period's text. */
  #inFull(why: string): string {
    return `${this.#options.node}, ${new Date().toISOString()}: ${why}`;
  }

  /** Until it is written, by this node or another: of all who notice the same at the same time one does it. */
  async #tell(annotations: Readonly<Record<string, string>>): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    const { signal, healMs, log } = this.#options;
    const startMs = performance.now();
    while (!signal.aborted && performance.now() - startMs < healMs)
      try {
        await this.#write(annotations);
        break;
      } catch (err) {
        if (!(err instanceof ApiError && err.status === 409))
          log.debug({ err }, "cannot tell the other nodes yet; retrying");
        await pause(RETRY_MS * (0.5 + Math.random()), signal);
      }
    this.#isTelling = false;
    if (!signal.aborted) setImmediate(() => this.#mark()); // for what came meanwhile
  }

  /** @throws {ApiError} */
  async #write({ [HEALING]: healing, ...others }: Readonly<Record<string, string>>): Promise<void> {
    const { cluster, signal, healMs } = this.#options;
    const settings = await cluster.get<ConfigMap>(CONFIG_MAPS, CONFIG_MAP, { signal });
    const isTold = Math.abs(Date.now() - begunMs(settings)) < healMs / 2;
    const annotations = {
      ...others,
      ...(healing && !isTold && { [HEALING]: `${new Date().toISOString()} ${healing}` }),
    };
    if (Object.keys(annotations).length === 0) return;
    if (settings) {
      const { resourceVersion } = settings.metadata;
      await cluster.mergePatch(CONFIG_MAPS, CONFIG_MAP, { metadata: { resourceVersion, annotations } }, { signal });
    } else await cluster.create(CONFIG_MAPS, { metadata: { name: CONFIG_MAP, annotations } }, { signal });
    this.#marked = others[DEFINED] ?? this.#marked; // the watch of the settings may lag
  }
}
