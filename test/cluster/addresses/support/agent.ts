import { mkdtempSync } from "node:fs";
import { dirname } from "node:path";
import { type Counters, noCounts } from "../../../../daemonset/addresses/counters.ts";
import { Events } from "../../../../daemonset/addresses/events.ts";
import { followDefinition } from "../../../../daemonset/addresses/node/definition-watch.ts";
import { HealPeriod } from "../../../../daemonset/addresses/node/heal-period.ts";
import { ModeWatch } from "../../../../daemonset/addresses/node/mode-watch.ts";
import { reportMode } from "../../../../daemonset/addresses/node/report.ts";
import {
  type Background,
  type BackgroundOptions,
  startBackground,
} from "../../../../daemonset/addresses/service/background.ts";
import { Notes } from "../../../../daemonset/notes.ts";
import { connect } from "../../../../ipam/connect.ts";
import { ClaimJournal, type ClaimRecord } from "../../../../ipam/journal.ts";
import { KubernetesStore } from "../../../../ipam/store/kubernetes.ts";
import type { Owner, Pool } from "../../../../ipam/store/store.ts";
import { EventRecorder } from "../../../../kubernetes/events/recorder.ts";

/** A line that an agent logged. */
export interface Line {
  readonly level: "debug" | "info" | "warn";
  readonly message: string;
  readonly fields: object;
}

export const pool = (network: string, cidr: string, overlapping = true): Pool => ({
  name: `${network}-${cidr.replace("/", "-")}`,
  cidr,
  network,
  overlapping,
});

export interface AgentOptions extends BackgroundOptions {
  readonly stateDir: string;
  /** Claims wait for the others after a loss, for so long. Default: they do not. */
  readonly healMs: number;
}

/** The address half of a node's agent, with a journal of its own and sandboxes that only exist here. */
export class Agent implements AsyncDisposable {
  readonly node: string;
  readonly stateDir: string;
  readonly store: KubernetesStore;
  readonly journal: ClaimJournal;
  readonly modes: ModeWatch;
  /** Container IDs of the sandboxes that run. */
  readonly alive = new Set<string>();
  /** Attachments that were ended for want of a DEL. */
  readonly ended: ClaimRecord[] = [];
  readonly counters: Counters = noCounts();
  readonly lines: Line[] = [];
  readonly background: Background;
  readonly #stop = new AbortController();
  /** An agent's own waits keep no process alive, and a test that waits for one must not end in the middle. */
  readonly #awake = setInterval(() => {}, 60_000);

  private constructor(
    node: string,
    cluster: BackgroundOptions["cluster"],
    stateDir: string,
    { healMs, ...options }: Partial<Omit<AgentOptions, "stateDir">>,
  ) {
    const note = (level: Line["level"]) => (fields: object, message: string) =>
      void this.lines.push({ level, message, fields });
    const log = { debug: note("debug"), info: note("info"), warn: note("warn") };
    const { signal } = this.#stop;
    this.node = node;
    this.stateDir = stateDir;
    this.journal = new ClaimJournal(stateDir);
    const period = healMs === undefined ? undefined : new HealPeriod({ cluster, node, log, signal, healMs });
    this.modes = new ModeWatch({ cluster, log }, signal, (settings) => period?.saw(settings));
    const hold = period && { hold: () => period.hold(), ready: () => period.ready() };
    this.store = new KubernetesStore({ cluster, mode: () => this.modes.mode, log, createsAdopted: true, ...hold });
    if (period) followDefinition({ cluster, log }, signal, (uid) => period.defined(uid));
    const report = (putBack?: string) => reportMode(cluster, node, { mode: "absent", ...(putBack && { putBack }) });
    if (period) void report();
    const sandboxes = {
      journal: this.journal,
      isAlive: ({ owner }: ClaimRecord) => this.alive.has(owner.containerId),
      end: async (record: ClaimRecord) => {
        this.ended.push(record);
        for (const { pool, ip } of record.addresses) await this.store.release({ pool, ip, owner: record.owner });
        this.journal.forget(record);
      },
      isReleased: () => false,
      lock: async () => ({ [Symbol.dispose]() {} }),
    };
    const { store, modes, counters } = this;
    const recorder = new EventRecorder({ log, notes: new Notes() });
    recorder.connect(cluster, node);
    const fast = {
      durationMs: 2000,
      renewMs: 300,
      jitterMs: 100,
      lookMs: 100,
      graceMs: 600_000,
      settleMs: 20,
      retryMs: 200,
    };
    this.background = startBackground({
      ...fast,
      ...options,
      cluster,
      store,
      modes,
      sandboxes,
      node,
      log,
      events: new Events(recorder, cluster.namespace),
      counters,
      ...(period && { period, onPutBack: report }),
      signal,
    });
  }

  /** @param options.stateDir of an agent that was there before; default: a new one beside the kubeconfig, which goes with it. */
  static async start(node: string, kubeconfig: string, options: Partial<AgentOptions> = {}): Promise<Agent> {
    const cluster = await connect({ kubeconfig });
    return new Agent(node, cluster, options.stateDir ?? mkdtempSync(`${dirname(kubeconfig)}/agent-`), options);
  }

  /** What ADD leaves: a claim, its record, a running sandbox. @returns who holds the address when it is somebody else. */
  async add(pool: Pool, ip: string, owner: Owner): Promise<Owner | undefined> {
    const whole = { ...owner, node: this.node };
    const holder = await this.store.claim({ pool, ip, owner: whole });
    if (holder) return holder;
    this.journal.write(heldRecord(pool, ip, whole));
    this.alive.add(owner.containerId);
    return undefined;
  }

  said(message: RegExp): Line[] {
    return this.lines.filter((line) => message.test(line.message));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.background.done;
    clearInterval(this.#awake);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

export const heldRecord = (pool: Pool, ip: string, owner: Owner): ClaimRecord => ({
  version: 1,
  phase: "held",
  network: pool.network,
  storage: { kind: "kubernetes", kubeconfig: "/none" },
  owner,
  netns: "/run/netns/none",
  netnsInode: 1,
  since: new Date().toISOString(),
  addresses: [{ pool, ip }],
});
