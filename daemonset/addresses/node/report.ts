import type { Mode } from "../../../ipam/mode.ts";
import { ApiError, type Cluster, type KubeObject, LEASES } from "../../../kubernetes/cluster.ts";
import { type Lease, microTime } from "../../../kubernetes/lease.ts";
import { Unchanged } from "../../../kubernetes/unchanged.ts";

/** An agent says again how it acts after this time, also when nothing has changed. */
export const REPORT_MS = 120_000;

/** Of an agent that was not heard of for so long nobody knows how it acts. */
export const REPORT_IS_OLD_MS = 3 * REPORT_MS;

/** On the lease that each agent keeps: the mode that it acts by. */
const MODE = "railnet.io/whereabouts";
/** And for which heal period it has put back what it holds, by the text of the settings. */
const PUT_BACK = "railnet.io/put-back";
const LABELS = { "railnet.io/agent": "true" } as const;
const SELECTOR = Object.entries(LABELS)
  .map(([key, value]) => `${key}=${value}`)
  .join(",");
const PREFIX = "railnet-node-";

/** What an agent said of itself. */
export interface Report {
  readonly node: string;
  /** Undefined: it has said nothing that is a mode. */
  readonly mode: Mode | undefined;
  /** ISO 8601; empty when it never was. */
  readonly renewed: string;
  /** The last heal period that it has done its part of. */
  readonly putBack?: string;
}

/** What an agent says of itself. */
export interface Said {
  readonly mode: Mode;
  /** As {@link Report.putBack}; what was said before stands where it is left out. */
  readonly putBack?: string;
}

/**
 * Says in the lease `railnet-node-NODE` by which mode the agent of this node acts. To be called when that changes, and
 * every REPORT_MS. Idempotent.
 *
 * @throws {ApiError}
 */
export async function reportMode(cluster: Cluster, node: string, said: Said, signal?: AbortSignal): Promise<void> {
  const lease = toLease(node, said, new Date());
  const { name } = lease.metadata;
  try {
    await cluster.mergePatch<Lease>(LEASES, name, lease, { signal });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    await cluster.create<Lease>(LEASES, lease, { signal });
  }
}

/** What all agents said of themselves, by name of node. @throws {ApiError} */
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

/** What one process hears of nodes' agents, whatever their clocks say. */
export class ReportTracker {
  readonly #last = new Map<string, Unchanged>();

  /**
   * For how long nothing was heard of an agent since it was first asked about; Infinity for one that never said anything.
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

/** Whether an agent was heard of lately, for an operator whose clock is right to some minutes. Pure. */
export const isHeard = ({ renewed }: Report, nowMs: number): boolean => nowMs - Date.parse(renewed) < REPORT_IS_OLD_MS;

const nameOf = (node: string): string => `${PREFIX}${node}`;

function toLease(node: string, { mode, putBack }: Said, now: Date): Lease {
  const annotations = { [MODE]: mode, ...(putBack !== undefined && { [PUT_BACK]: putBack }) };
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
