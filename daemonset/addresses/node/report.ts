import type { Mode } from "../../../ipam/mode.ts";
import { ApiError, type Cluster, type KubeObject, LEASES } from "../../../kubernetes/cluster.ts";
import { type Lease, microTime } from "../../../kubernetes/lease.ts";
import { Unchanged } from "../../../kubernetes/unchanged.ts";

/** An agent repeats its report after this time, even if nothing has changed. */
export const REPORT_MS = 120_000;

/** How an agent that has been silent for this long acts is unknown. */
export const REPORT_IS_OLD_MS = 3 * REPORT_MS;

/** On the lease that each agent keeps: the mode in which it acts. */
const MODE = "railnet.io/whereabouts";
/** And the heal period for which it has restored what it holds, by the text of the settings. */
const PUT_BACK = "railnet.io/put-back";
/** And what {@link Said.statics} says, separated by commas. */
const STATICS = "railnet.io/static-pods";
const LABELS = { "railnet.io/agent": "true" } as const;
const SELECTOR = Object.entries(LABELS)
  .map(([key, value]) => `${key}=${value}`)
  .join(",");
const PREFIX = "railnet-node-";

/** An agent's report on itself. */
export interface Report {
  readonly node: string;
  /** Undefined if it is not a valid mode. */
  readonly mode: Mode | undefined;
  /** ISO 8601; empty if never. */
  readonly renewed: string;
  /** The last heal period for which it has done its part. */
  readonly putBack?: string;
}

/** What an agent reports. */
export interface Said {
  readonly mode: Mode;
  /** As {@link Report.putBack}; if omitted the previous value stays. */
  readonly putBack?: string;
  /**
   * podrefs which have addresses and which, by their names, this node's kubelet may have from a file: such a pod runs
   * whether or not an object shows it. Undefined if not known now.
   */
  readonly statics?: readonly string[] | undefined;
}

/**
 * Reports in the lease `railnet-node-NODE` in which mode the agent of this node acts. Call when that changes, and every
 * REPORT_MS. Idempotent.
 *
 * @throws {ApiError}
 */
export async function reportMode(cluster: Cluster, node: string, said: Said, signal?: AbortSignal): Promise<void> {
  const lease = toLease(node, said, new Date());
  const { name } = lease.metadata;
  const patch = said.statics?.length === 0 ? withoutStatics(lease) : lease;
  try {
    await cluster.mergePatch<Lease>(LEASES, name, patch, { signal });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    await cluster.create<Lease>(LEASES, lease, { signal });
  }
}

/** The reports of all agents, by name of node. @throws {ApiError} */
export async function readReports(cluster: Cluster, signal?: AbortSignal): Promise<Report[]> {
  const { items } = await cluster.list<Lease>(LEASES, { labelSelector: SELECTOR, signal });
  return items.map(toReport).toSorted((a, b) => (a.node < b.node ? -1 : 1));
}

/** The leases of all agents, and which node's each is. @throws {ApiError} */
export async function agentLeases(
  cluster: Cluster,
  signal?: AbortSignal,
): Promise<readonly { readonly node: string; readonly metadata: KubeObject["metadata"] }[]> {
  const { items } = await cluster.list(LEASES, {
    labelSelector: SELECTOR,
    metadataOnly: true,
    fromCache: true,
    signal,
  });
  return items.flatMap(({ metadata }) =>
    metadata.name.startsWith(PREFIX) ? [{ node: metadata.name.slice(PREFIX.length), metadata }] : [],
  );
}

/** What one process hears from nodes' agents, regardless of their clocks. */
export class ReportTracker {
  readonly #last = new Map<string, Unchanged>();

  /**
   * For how long an agent has been silent since it was first asked about; Infinity for one that never reported.
   *
   * @throws {ApiError}
   */
  async silentMs(cluster: Cluster, node: string, signal?: AbortSignal): Promise<number> {
    const lease = await cluster.get<Lease>(LEASES, nameOf(node), { signal });
    if (!lease) return Number.POSITIVE_INFINITY;
    const last = this.#last.get(node) ?? new Unchanged();
    this.#last.set(node, last);
    return last.forMs(lease.spec.renewTime);
  }
}

/** Whether an agent was heard recently, for an operator whose clock is right within some minutes. Pure. */
export const isHeard = ({ renewed }: Report, nowMs: number): boolean => nowMs - Date.parse(renewed) < REPORT_IS_OLD_MS;

const nameOf = (node: string): string => `${PREFIX}${node}`;

/** Of what {@link agentLeases} returns. */
export const staticsOf = ({ annotations }: KubeObject["metadata"]): readonly string[] =>
  annotations?.[STATICS]?.split(",") ?? [];

const withoutStatics = ({ metadata, ...lease }: Lease): object => ({
  ...lease,
  metadata: { ...metadata, annotations: { ...metadata.annotations, [STATICS]: null } },
});

function toLease(node: string, { mode, putBack, statics = [] }: Said, now: Date): Lease {
  const annotations = {
    [MODE]: mode,
    ...(putBack !== undefined && { [PUT_BACK]: putBack }),
    ...(statics.length > 0 && { [STATICS]: statics.join(",") }),
  };
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: nameOf(node), labels: LABELS, annotations },
    spec: {
      holderIdentity: node,
      leaseDurationSeconds: REPORT_IS_OLD_MS / 1000,
      renewTime: microTime(now),
    },
  };
}

function toReport({ metadata: { name, annotations }, spec }: Lease): Report {
  const mode = annotations?.[MODE];
  return {
    node: spec.holderIdentity || name.replace(/^railnet-node-/, ""),
    mode: mode === "absent" || mode === "coexist" ? mode : undefined,
    renewed: spec.renewTime ?? "",
    ...(annotations?.[PUT_BACK] && { putBack: annotations[PUT_BACK] }),
  };
}
