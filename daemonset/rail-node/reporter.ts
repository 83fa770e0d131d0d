import type { Log } from "../../cni/host.ts";
import { ApiError, type Cluster, NODES } from "../../kubernetes/cluster.ts";
import { absentMs, pause } from "../loop.ts";
import { NOT_COMPARED, toCondition } from "./conditions.ts";
import { CONDITION, RAIL_NODES, type RailNode, type RailNodeStatus } from "./object.ts";
import type { Observation, Observer } from "./observer.ts";
import type { Pace } from "./pace.ts";
import { patchOf } from "./patch.ts";
import { type NodeObject, runtimeOf } from "./versions.ts";

export interface ReporterOptions {
  readonly cluster: Pick<Cluster, "get" | "create" | "patch">;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly observer: Pick<Observer, "look">;
  readonly pace: Pace;
  readonly log: Log;
  readonly nowMs: () => number;
  /** Between two looks. Default 10 s. */
  readonly lookMs?: number;
}

const LOOK_MS = 10_000;
/** What others may have changed, and the Node's versions, are read again after this time. */
const REFRESH_MS = 3_600_000;
/** All agents lose the same server at once. */
const FAILED_MS = 60_000;

/** Keeps the RailNode of one node equal to what its agent sees. */
export class Reporter {
  readonly #options: ReporterOptions;
  #stored: RailNode | undefined;
  #owner: NodeObject | undefined;
  /** The stored report cannot be relied on: the next write is of all of it. */
  #isUnsure = false;
  /** When both of the first two are read again. */
  #refreshMs = Number.NEGATIVE_INFINITY;
  #said = "";
  #absences = 0;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Until `signal`. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await this.look(signal);
      await pause(waitMs * (0.9 + Math.random() / 5), signal);
    }
  }

  /** One look, and a write if one is due. @returns how long to wait until the next one. Never rejects. */
  async look(signal: AbortSignal): Promise<number> {
    const { pace, nowMs, log, node, lookMs = LOOK_MS } = this.#options;
    try {
      if (nowMs() >= this.#refreshMs) await this.#refresh(signal);
      if (!this.#owner) return this.#sayOnce("no RailNode: the cluster has no Node of this name", { node });
      const status = this.#statusOf(await this.#options.observer.look(runtimeOf(this.#owner)));
      const write = this.#writeOf(status, signal);
      if (pace.isDue(nowMs(), write !== undefined)) await write!();
      this.#said = "";
      this.#absences = 0;
      return lookMs;
    } catch (err) {
      if (signal.aborted) return 0;
      pace.wrote(nowMs());
      if (isRefused(err))
        return this.#sayOnce(
          "no RailNode: it is not served here, or not for this agent: kubectl apply -f manifests/railnet.yaml",
          { err },
        );
      log.warn({ err }, "cannot update the RailNode; retrying");
      return FAILED_MS;
    }
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { cluster, node, nowMs } = this.#options;
    this.#stored = await cluster.get<RailNode>(RAIL_NODES, node, { signal }); // first: it may not be served
    this.#owner = await cluster.get<NodeObject>(NODES, node, { signal });
    this.#refreshMs = nowMs() + REFRESH_MS;
  }

  #statusOf({ ready, ...rest }: Observation): RailNodeStatus {
    const [before, drift] = isReport(this.#stored?.status) ? this.#stored.status.conditions : [];
    const nowMs = Date.now();
    return {
      ...rest,
      conditions: [
        toCondition("RailsReady", ready, before, nowMs),
        drift ?? toCondition("Drift", NOT_COMPARED, undefined, nowMs),
      ],
    };
  }

  /** @returns undefined if nothing is to be written. */
  #writeOf(status: RailNodeStatus, signal: AbortSignal): (() => Promise<void>) | undefined {
    const { cluster, node } = this.#options;
    const stored = this.#stored;
    if (!stored) return () => this.#write(status, cluster.create<RailNode>(RAIL_NODES, this.#born(status), { signal }));
    const uid = stored.metadata.uid!;
    const patch =
      isReport(stored.status) && !this.#isUnsure
        ? patchOf(stored.status, status, uid)
        : ([
            { op: "test", path: "/metadata/uid", value: uid },
            { op: "add", path: "/status", value: status },
          ] as const);
    return patch && (() => this.#write(status, cluster.patch<RailNode>(RAIL_NODES, node, patch, { signal })));
  }

  /** What was written counts as stored, even if an older definition drops part of it. */
  async #write(status: RailNodeStatus, writing: Promise<RailNode>): Promise<void> {
    const { pace, nowMs } = this.#options;
    try {
      const { metadata, status: stored } = await writing;
      const drift = stored?.conditions?.[CONDITION.Drift] ?? status.conditions[CONDITION.Drift];
      this.#stored = { metadata, status: { ...status, conditions: [status.conditions[CONDITION.RailsReady], drift] } };
      this.#isUnsure = false;
    } catch (error) {
      if (!isOtherwise(error) || this.#isUnsure) throw error;
      this.#isUnsure = true; // created, changed or deleted by others
      this.#refreshMs = Number.NEGATIVE_INFINITY;
    }
    pace.wrote(nowMs());
  }

  #born(status: RailNodeStatus): RailNode {
    const { name, uid } = this.#owner!.metadata;
    return {
      apiVersion: `${RAIL_NODES.group}/${RAIL_NODES.version}`,
      kind: RAIL_NODES.kind,
      metadata: { name, ownerReferences: [{ apiVersion: "v1", kind: "Node", name, uid: uid! }] },
      status,
    };
  }

  #sayOnce(message: string, fields: object): number {
    if (this.#said !== message) this.#options.log.info(fields, message);
    this.#said = message;
    this.#refreshMs = Number.NEGATIVE_INFINITY;
    return absentMs(this.#absences++);
  }
}

/** Has this shape, whoever wrote it. */
const isReport = (status: RailNodeStatus | undefined): status is RailNodeStatus =>
  Boolean(status?.node && status.summary && status.networks && status.absent && status.repairs) &&
  Array.isArray(status!.rails) &&
  status!.conditions?.map(({ type }) => type).join() === "RailsReady,Drift";

const isRefused = (error: unknown): boolean => error instanceof ApiError && [403, 404].includes(error.status);
const isOtherwise = (error: unknown): boolean => error instanceof ApiError && [404, 409, 422].includes(error.status);
