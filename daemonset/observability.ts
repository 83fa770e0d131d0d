import { join } from "node:path";
import type { Paths } from "../cni/host.ts";
import { failure } from "../cni/protocol/dispatch.ts";
import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";
import { listPfs } from "../kernel/sysfs.ts";
import { EventRecorder } from "../kubernetes/events/recorder.ts";
import type { Addresses } from "./addresses/service/addresses.ts";
import { failedAdd } from "./calls/failed-add.ts";
import { type Observers, observed } from "./calls/observed.ts";
import { type AgentState, control } from "./control.ts";
import { followLogLevel } from "./follow-log-level.ts";
import type { Health } from "./health.ts";
import type { RailNames } from "./inventory/rails.ts";
import { errorOf, type IpamReply } from "./ipam-reply.ts";
import type { AnswerQuestion } from "./kernel-thread.ts";
import type { KernelThreads } from "./kernel-threads.ts";
import type { LevelledLog, LogLevel } from "./log-level.ts";
import { Metrics } from "./metrics/metrics.ts";
import { RdmaReadings } from "./metrics/rdma.ts";
import { type Note, Notes } from "./notes.ts";
import { railFilesIn } from "./rail-network/file.ts";
import type { Altnames } from "./rails/altname.ts";
import type { Repair } from "./reconcile/plan.ts";
import type { RoutesReport } from "./routes/order.ts";
import type { Handler } from "./server.ts";
import { VERSION } from "./version.ts";

export interface ObservabilityOptions {
  readonly paths: Paths;
  /** Where the ConfigMap `railnet-config` is mounted. */
  readonly configDir: string;
  readonly log: LevelledLog;
}

/** What is observed. */
export interface Observed {
  readonly threads: Pick<KernelThreads, "silentMs" | "setLogLevel" | "carryOut">;
  readonly addresses: Pick<Addresses, "counters" | "pending" | "refused">;
  readonly altnames: Altnames;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly routes: () => Promise<RoutesReport | undefined>;
}

/** A thread without a sign of life for this long is stuck for good: firmware takes seconds. */
const STUCK_MS = 120_000;

const pfsWithVfs = (sysfs: string): string[] => listPfs(sysfs).flatMap(({ pci, numVfs }) => (numVfs > 0 ? [pci] : []));

const DONE: CniResponse = { exit: 0, stdout: "", stderr: "" };

/** Everything that watches the agent's work but is not part of it: counts, notes, events, probes, log level. */
export class Observability {
  readonly health: Health = { notReady: "another agent of this node has not ended yet" };
  readonly recorder: EventRecorder;
  readonly countRequest: Metrics["api"]["add"];
  readonly #options: ObservabilityOptions;
  readonly #metrics = new Metrics();
  readonly #notes = new Notes();
  readonly #repairs = new Notes();
  readonly #since = new Date().toISOString();
  readonly #stop = new AbortController();

  constructor(options: ObservabilityOptions) {
    this.#options = options;
    this.recorder = new EventRecorder({ log: options.log, notes: this.#notes });
    this.countRequest = this.#metrics.api.add;
  }

  /** From now on metrics, probes and the command line cover these. @returns the handler for the command line. */
  watch({ threads, addresses, altnames, node, routes }: Observed): Handler {
    const { paths, configDir, log } = this.#options;
    const { health, recorder } = this;
    const rdma = new RdmaReadings(threads.carryOut);
    const firstLevel = log.level as LogLevel;
    const setLogLevel = (level: LogLevel = firstLevel) => {
      log.level = level;
      threads.setLogLevel(level);
    };
    health.refused = () => addresses.refused();
    health.notAlive = () => (threads.silentMs() > STUCK_MS ? "the kernel thread does not respond" : "");
    health.metrics = async () => {
      const { byPf } = await this.#rails(altnames);
      return this.#metrics.render({
        paths,
        railOf: (pf) => byPf[pf] ?? pf,
        addresses,
        routes: await routes(),
        rdma: await rdma.read(pfsWithVfs(paths.sysfs)),
        events: recorder,
      });
    };
    void followLogLevel({ file: join(configDir, "logLevel"), log, signal: this.#stop.signal }, setLogLevel);
    return (request) => control(request, { setLogLevel, routes, state: () => this.#state(addresses, altnames, node) });
  }

  /** A handler for calls that are parts of others. */
  ofParts(answer: AnswerQuestion): AnswerQuestion {
    return async (call, signal) => {
      let reply: IpamReply = {};
      const handler: Handler = async (_, signal) => {
        reply = await answer(call, signal);
        const error = errorOf(reply);
        return error ? failure(error) : DONE;
      };
      await this.#observed(handler, { log: { to: this.#options.log, isPart: true } })(
        { ...call.request, name: "railnet-ipam" },
        signal,
      );
      return reply;
    };
  }

  /** A handler for whole calls. @param log false: the line of each is written where it is processed. */
  of(handler: Handler, { log }: { readonly log: boolean }): Handler {
    const onFailedAdd = (request: CniRequest, response: CniResponse) => {
      const event = failedAdd(request, response);
      if (event) this.recorder.record(event);
    };
    return this.#observed(handler, { onFailedAdd, ...(log && { log: { to: this.#options.log, isPart: false } }) });
  }

  repaired(repairs: readonly Repair[]): void {
    this.#metrics.repairs.add(repairs);
    for (const { kind, pci, pod, containerID, ifname, why, error, but } of repairs) {
      const what = error
        ? "attachment could not be repaired"
        : kind === "report"
          ? "attachment is odd"
          : kind === "reattach"
            ? "a pod got its VF back"
            : kind === "retell"
              ? "a pod's RDMA device changed"
              : "attachment ended";
      const message = `${pod || containerID} (${ifname}): ${why}${error || but ? `: ${error ?? but}` : ""}`;
      this.#notes.add(what, `VF ${pci}`, message);
      this.#repairs.addNew(what, `VF ${pci}`, message); // a failure is repeated again and again
    }
  }

  /** What the reconciler did, newest last. */
  readonly repairs = (): readonly Note[] => this.#repairs.all();

  stop(): void {
    this.#stop.abort();
    this.recorder.stop();
  }

  #observed(handler: Handler, observers: Omit<Observers, "counts">): Handler {
    return observed(handler, { counts: this.#metrics.calls, ...observers });
  }

  /** According to the list and sysfs at the time of the call. */
  async #rails({ nameOf }: Altnames): Promise<RailNames> {
    const { readRailNames } = await import("./inventory/rails.ts");
    const { configDir, paths } = this.#options;
    return readRailNames(railFilesIn(configDir, paths.stateDir), paths.sysfs, nameOf);
  }

  async #state(addresses: Observed["addresses"], altnames: Altnames, node: string): Promise<AgentState> {
    const { log } = this.#options;
    return {
      version: VERSION,
      pid: process.pid,
      since: this.#since,
      notReady: this.health.notReady,
      refused: addresses.refused(),
      logLevel: log.level,
      node,
      pendingReleases: addresses.pending(),
      events: this.recorder.counts,
      rails: await this.#rails(altnames),
      notes: this.#notes.all(),
    };
  }
}
