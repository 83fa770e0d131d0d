import { ApiError, type Cluster, EVENTS, PODS } from "../cluster.ts";
import { again, type EventRequest, type KubeEvent, type Times, toKubeEvent } from "./kube-event.ts";
import { EventQueue, type Waiting } from "./queue.ts";

export interface RecorderOptions {
  readonly log: { debug(fields: object, message: string): void; warn(fields: object, message: string): void };
  /** Also receives every event. */
  readonly notes: { add(reason: string, about: string, message: string): void };
  /** Default 100 kinds. */
  readonly queueLength?: number;
  /** Default 5 min. */
  readonly queueAgeMs?: number;
  /** Upper limit of writes: what ends a thousand pods must not write a thousand objects. Default 20. */
  readonly perMinute?: number;
  /** Minimum interval between writes of the same event. Default 10 s. */
  readonly sameMs?: number;
  /** After a failure, doubled up to 60 s. Default 1 s. */
  readonly pauseMs?: number;
}

/** Written events whose count can still be raised: an API server keeps them for an hour. */
const MAX_WRITTEN = 256;
const LONGEST_PAUSE_MS = 60_000;

interface Written extends Times {
  readonly name: string;
  readonly namespace: string;
  readonly atMs: number;
}

/**
 * Writes events one at a time, after everything else: record() only queues them. Best effort: the log has everything;
 * what cannot be written is dropped and counted.
 */
export class EventRecorder {
  readonly #log: RecorderOptions["log"];
  readonly #notes: RecorderOptions["notes"];
  readonly #limits: Required<Omit<RecorderOptions, "log" | "notes">>;
  readonly #queue: EventQueue;
  readonly #written = new Map<string, Written>();
  #target: { readonly cluster: Cluster; readonly node: string } | undefined;
  #sent = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #isSending = false;
  #isStopped = false;

  constructor({ log, notes, ...limits }: RecorderOptions) {
    this.#log = log;
    this.#notes = notes;
    this.#limits = { queueLength: 100, queueAgeMs: 300_000, perMinute: 20, sameMs: 10_000, pauseMs: 1_000, ...limits };
    this.#queue = new EventQueue({ length: this.#limits.queueLength, ageMs: this.#limits.queueAgeMs });
  }

  /** `sent` counts writes, `dropped` events. */
  get counts(): { readonly sent: number; readonly dropped: number; readonly waiting: number } {
    return { sent: this.#sent, dropped: this.#queue.dropped, waiting: this.#queue.length };
  }

  /** Sets where to write, once that is known: on a host without a cluster nothing is written. */
  connect(cluster: Cluster, node: string): void {
    this.#target = { cluster, node };
    this.#wake(0);
  }

  /** Returns at once, and never fails. */
  record(event: EventRequest): void {
    const { about, reason, message } = event;
    this.#notes.add(reason, `${about.resource.kind} ${about.namespace && `${about.namespace}/`}${about.name}`, message);
    this.#queue.add(event);
    this.#wake(0);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #wake(ms: number): void {
    if (this.#isStopped || this.#isSending || this.#timer || !this.#target) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#send();
    }, ms);
    if (ms > 0) this.#timer.unref(); // a finished command does not wait for the last of many
  }

  async #send(): Promise<void> {
    const next = this.#queue.take((key) => this.#isDue(key));
    if (!next) return this.#queue.length > 0 ? this.#wake(this.#limits.sameMs / 4) : undefined;
    this.#isSending = true;
    const pauseMs = await this.#write(next);
    this.#isSending = false;
    this.#wake(pauseMs);
  }

  #isDue(key: string): boolean {
    const before = this.#written.get(key);
    return !before || performance.now() >= before.atMs + this.#limits.sameMs;
  }

  /** @returns how long to wait before the next one. */
  async #write(waiting: Waiting): Promise<number> {
    try {
      await this.#createOrCount(waiting);
      this.#sent++;
      this.#failures = 0;
      return this.#restMs();
    } catch (err) {
      const { reason } = waiting.event;
      if (err instanceof ApiError && (err.status === 0 || err.status === 429 || err.status >= 500)) {
        this.#log.debug({ err, reason }, "cannot write an event; retrying");
        this.#queue.putBack(waiting);
        return Math.min(LONGEST_PAUSE_MS, this.#limits.pauseMs * 2 ** this.#failures++);
      }
      this.#log.warn({ err, reason }, "event was refused");
      this.#queue.drop(waiting);
      return 0;
    }
  }

  /** A handful may go at once; then each waits for its turn. */
  #restMs(): number {
    const nowMs = performance.now();
    const lately = [...this.#written.values()].filter(({ atMs }) => nowMs - atMs < 60_000).length;
    return lately < this.#limits.perMinute / 2 ? 0 : 60_000 / (this.#limits.perMinute / 2);
  }

  async #createOrCount({ key, event, ...times }: Waiting): Promise<void> {
    const before = this.#written.get(key);
    const all = before ? { ...times, count: before.count + times.count, firstMs: before.firstMs } : times;
    const at = (before && (await this.#count(before, event, all))) ?? (await this.#create(event, all));
    this.#written.delete(key); // re-inserted as the newest
    this.#written.set(key, { ...at, ...all, atMs: performance.now() });
    if (this.#written.size > MAX_WRITTEN) this.#written.delete(this.#written.keys().next().value!);
  }

  /** @returns undefined when the event may have expired. */
  async #count({ name, namespace }: Written, { message }: EventRequest, times: Times) {
    try {
      await this.#target!.cluster.mergePatch<KubeEvent>(EVENTS, name, again(message, times) as object, { namespace });
      return { name, namespace };
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #create(event: EventRequest, times: Times) {
    const { cluster, node } = this.#target!;
    const written = toKubeEvent({ ...event, about: await this.#known(event.about) }, times, node);
    const { name, namespace = "" } = written.metadata;
    await cluster.create(EVENTS, written);
    return { name, namespace };
  }

  /** Not every container runtime passes the pod's UID. */
  async #known(about: EventRequest["about"]): Promise<EventRequest["about"]> {
    if (about.uid || about.resource !== PODS) return about;
    const { namespace, name } = about;
    const uid = (await this.#target!.cluster.get(PODS, name, { namespace, metadataOnly: true }))?.metadata.uid;
    return uid ? { ...about, uid } : about;
  }
}
