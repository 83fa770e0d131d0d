import { NADS, type Nad } from "../../../daemonset/rail-network/nads.ts";
import { RAIL_NODES, type RailNode } from "../../../daemonset/rail-node/object.ts";
import { ApiError, type Cluster, type KubeObject, NODES } from "../../../kubernetes/cluster.ts";
import type { PodRails } from "./pods.ts";

export interface BenchNode extends KubeObject {
  readonly spec?: {
    readonly unschedulable?: boolean;
    readonly taints?: readonly { readonly key: string; readonly effect: string }[];
  };
  readonly status?: {
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export interface Chosen {
  /** An end has a name of its own where its node was named twice. */
  readonly ends: readonly {
    readonly name: string;
    readonly node: string;
    readonly topology: Readonly<Record<string, string>>;
  }[];
  readonly railNodes: ReadonlyMap<string, RailNode>;
}

/**
 * Which nodes take part. `all`: those that are ready, take pods and have the rails; who names nodes gets just these, with
 * taints and all, and two ends of one that he names twice.
 *
 * @throws {Error} for a node that there is not, and for fewer than two ends.
 */
export async function chooseEnds(cluster: Cluster, wanted: readonly string[], rails: PodRails): Promise<Chosen> {
  const { items } = await cluster.list<BenchNode>(NODES);
  const nodes = new Map(items.map((node) => [node.metadata.name, node]));
  const railNodes = await railNodesOf(cluster);
  const isAll = wanted.length === 1 && wanted[0] === "all";
  const names = isAll ? [...nodes.values()].filter((node) => canTakePart(node, rails, railNodes)).map(({ metadata }) => metadata.name).sort() : wanted; // biome-ignore format: one row
  const unknown = names.filter((name) => !nodes.has(name));
  if (unknown.length > 0)
    throw new Error(`cannot measure ${unknown.join(", ")}: no such node; the cluster has ${[...nodes.keys()].slice(0, 20).join(", ")}`); // biome-ignore format: one row
  if (names.length < 2)
    throw new Error(`cannot measure: ${isAll ? `${names.length} nodes are ready and have rails` : "one node is named"}, two are needed; a node that is named twice has two pods`); // biome-ignore format: one row
  return { ends: named(names).map((end) => ({ ...end, topology: topologyOf(nodes.get(end.node)!) })), railNodes };
}

function named(names: readonly string[]) {
  const isTwice = (name: string) => names.indexOf(name) !== names.lastIndexOf(name);
  const nth = (name: string, i: number) => names.slice(0, i + 1).filter((one) => one === name).length;
  return names.map((node, i) => ({ node, name: isTwice(node) ? `${node}#${nth(node, i)}` : node }));
}

function canTakePart(
  { metadata, spec, status }: BenchNode,
  rails: PodRails,
  railNodes: ReadonlyMap<string, RailNode>,
): boolean {
  const isReady = status?.conditions?.some((one) => one.type === "Ready" && one.status === "True");
  const isTainted = spec?.taints?.some(({ effect }) => effect === "NoSchedule" || effect === "NoExecute");
  if (!isReady || isTainted || spec?.unschedulable) return false;
  const has = (resource: string, number: number) => Number(status?.allocatable?.[resource] ?? 0) >= number;
  if ("resources" in rails) return Object.entries(rails.resources).every(([resource, number]) => has(resource, number));
  return (railNodes.get(metadata.name)?.status?.rails.length ?? 0) > 0;
}

const TOPOLOGY = "topology.kubernetes.io/";
const topologyOf = ({ metadata }: BenchNode): Record<string, string> =>
  Object.fromEntries(
    Object.entries(metadata.labels ?? {}).flatMap(([key, value]) =>
      key.startsWith(TOPOLOGY) ? [[key.slice(TOPOLOGY.length), value]] : [],
    ),
  );

/** Empty where there are none, or they may not be read. */
async function railNodesOf(cluster: Cluster): Promise<Map<string, RailNode>> {
  try {
    const { items } = await cluster.list<RailNode>(RAIL_NODES);
    return new Map(items.map((node) => [node.metadata.name, node]));
  } catch (error) {
    if (error instanceof ApiError && [403, 404].includes(error.status)) return new Map();
    throw error;
  }
}

const RESOURCE = "k8s.v1.cni.cncf.io/resourceName";

/**
 * The resources of networks that somebody wrote, one for each attachment.
 *
 * @param networks `NAME` or `NAMESPACE/NAME`, as in a pod's annotation.
 * @throws {Error} for one that there is not.
 */
export async function resourcesOf(
  cluster: Cluster,
  namespace: string,
  networks: readonly string[],
): Promise<Record<string, number>> {
  const resources: Record<string, number> = {};
  for (const network of networks) {
    const [reference = ""] = network.split("@");
    const [of, name] = reference.includes("/") ? (reference.split("/") as [string, string]) : [namespace, reference];
    const nad = await cluster.get<Nad>(NADS, name, { namespace: of });
    if (!nad) throw new Error(`cannot use --networks ${network}: there is no network ${name} in namespace ${of}`);
    const resource = nad.metadata.annotations?.[RESOURCE];
    if (resource) resources[resource] = (resources[resource] ?? 0) + 1;
  }
  return resources;
}
