import { mkdtempSync } from "node:fs";
import { dirname } from "node:path";
import { type Counters, noCounts } from "../../../../daemonset/addresses/counters.ts";
import type { ModeWatch } from "../../../../daemonset/addresses/node/mode-watch.ts";
import { ClusterWork, type ClusterWorkOptions } from "../../../../daemonset/addresses/service/cluster-work.ts";
import { Notes } from "../../../../daemonset/notes.ts";
import { connect } from "../../../../ipam/connect.ts";
import { ClaimJournal, type ClaimRecord } from "../../../../ipam/journal.ts";
import type { Owner, Pool, Store } from "../../../../ipam/store/store.ts";
import type { Cluster } from "../../../../kubernetes/cluster.ts";
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

export interface AgentOptions extends ClusterWorkOptions {
  readonly stateDir: string;
}

/** The address half of a node's agent, with a journal of its own and sandboxes that only exist here. */
export class Agent implements AsyncDisposable {
  readonly node: string;
  readonly stateDir: string;
  readonly journal: ClaimJournal;
  /** Container IDs of the sandboxes that run. */
  readonly alive = new Set<string>();
  /** Attachments that were ended for want of a DEL. */
  readonly ended: ClaimRecord[] = [];
  readonly counters: Counters = noCounts();
  readonly lines: Line[] = [];
  readonly work: ClusterWork;
  /** An agent's own waits keep no process alive, and a test that waits for one must not end in the middle. */
  readonly #awake = setInterval(() => {}, 60_000);

  private constructor(
    node: string,
    cluster: Cluster,
    stateDir: string,
    options: Partial<Omit<AgentOptions, "stateDir">>,
  ) {
    const note = (level: Line["level"]) => (fields: object, message: string) =>
      void this.lines.push({ level, message, fields });
    const log = { debug: note("debug"), info: note("info"), warn: note("warn") };
    this.node = node;
    this.stateDir = stateDir;
    this.journal = new ClaimJournal(stateDir);
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
      healMs: 1, // claims do not wait for the others after a loss
    };
    const { counters } = this;
    this.work = new ClusterWork({ ...fast, ...options, cluster, sandboxes, node, log, recorder, counters });
    this.work.start();
  }

  get store(): Store {
    return this.work.store;
  }

  get modes(): ModeWatch {
    return this.work.modes;
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
    await this.work.stop();
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
