import type { KubeObject, Resource } from "../../../kubernetes/cluster.ts";

export const JOBS: Resource = { group: "batch", version: "v1", plural: "jobs", kind: "Job", namespaced: true };

export const CONTAINER = "perftest";
/** On everything that a bench makes; its value tells which bench. */
export const BENCH_LABEL = "railnet.io/bench";

/** How its pods get rails: networks that somebody wrote, with their resources, or the one label of a RailNetwork. */
export type PodRails =
  | { readonly networks: readonly string[]; readonly resources: Readonly<Record<string, number>> }
  | { readonly label: string; readonly network?: string };

export interface BenchSettings {
  /** Unique: name of the owner, value of the label. */
  readonly id: string;
  readonly namespace: string;
  readonly image: string;
  readonly pullPolicy: "IfNotPresent" | "Always" | "Never";
  /** When everything ends by itself, whatever became of who made it. */
  readonly seconds: number;
  readonly rails: PodRails;
  /** All devices of the node for the pods, too: for RDMA devices that no device plugin hands out. */
  readonly isPrivileged: boolean;
}

const AT_ONCE_GONE = { restartPolicy: "Never", terminationGracePeriodSeconds: 1, enableServiceLinks: false, automountServiceAccountToken: false }; // biome-ignore format: one row
const meta = ({ id, namespace }: BenchSettings, name: string) => ({ name, namespace, labels: { [BENCH_LABEL]: id } });

/**
 * The owner of all pods. It ends after `seconds` at the latest (its own pod sleeps as long, and there is a deadline) and
 * is then deleted by the API (`ttlSecondsAfterFinished`), and with it, as the garbage collector does, all pods.
 */
export function ownerOf(settings: BenchSettings): KubeObject & { readonly spec: object } {
  const container = { name: "keeper", image: settings.image, imagePullPolicy: settings.pullPolicy, command: ["sleep", `${settings.seconds}`] }; // biome-ignore format: one row
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: meta(settings, settings.id),
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: settings.seconds,
      ttlSecondsAfterFinished: 0,
      template: {
        metadata: { labels: { [BENCH_LABEL]: settings.id } },
        spec: { ...AT_ONCE_GONE, tolerations: [{ operator: "Exists" }], containers: [container] },
      },
    },
  };
}

export interface PodOrder {
  readonly name: string;
  readonly node: string;
  readonly side: "pod" | "host";
}

/** A pod on one node, as the scheduler and the kubelet let it: never beside them, so that resources are counted. */
export function podOf(
  settings: BenchSettings,
  owner: KubeObject,
  order: PodOrder,
): KubeObject & { readonly spec: object } {
  const { image, pullPolicy, seconds, rails, isPrivileged } = settings;
  const isHost = order.side === "host";
  const { labels, ...metadata } = meta(settings, order.name);
  const fields = [{ key: "metadata.name", operator: "In", values: [order.node] }];
  const limits = isHost || !("resources" in rails) ? {} : rails.resources;
  const security = isHost || isPrivileged ? { privileged: true } : { capabilities: { add: ["IPC_LOCK"] } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...metadata,
      labels: { ...labels, ...(!isHost && labelsOf(rails)) },
      annotations: !isHost && "networks" in rails ? { "k8s.v1.cni.cncf.io/networks": rails.networks.join(",") } : {},
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name: owner.metadata.name, uid: owner.metadata.uid! }],
    },
    spec: {
      ...AT_ONCE_GONE,
      activeDeadlineSeconds: seconds,
      hostNetwork: isHost,
      tolerations: [{ operator: "Exists" }],
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields: fields }] } } }, // biome-ignore format: one row
      containers: [{ name: CONTAINER, image, imagePullPolicy: pullPolicy, command: ["sleep", `${seconds}`], securityContext: security, resources: { limits } }], // biome-ignore format: one row
    },
  };
}

const labelsOf = (rails: PodRails): Readonly<Record<string, string>> =>
  "label" in rails
    ? { "railnet.io/rails": rails.label, ...(rails.network && { "railnet.io/network": rails.network }) }
    : {};

/** Links by rail, out of Multus' `network-status`; a network of several rails names them by their links. */
export function railsOfStatus(annotation: string | undefined, what: string): Map<string, string> {
  const networks = parsed(annotation, what).filter((one) => !one.default && one.interface);
  const names = networks.map(({ name }) => name.slice(name.indexOf("/") + 1));
  const rails = networks.map((network, i): [string, string] => {
    const isShared = names.indexOf(names[i]!) !== names.lastIndexOf(names[i]!);
    return [isShared ? network.interface! : names[i]!, network.interface!];
  });
  return new Map(rails);
}

interface NetworkOfPod {
  readonly name: string;
  readonly interface?: string;
  readonly default?: boolean;
}

function parsed(annotation: string | undefined, what: string): NetworkOfPod[] {
  try {
    const list = JSON.parse(annotation ?? "[]") as NetworkOfPod[];
    if (Array.isArray(list) && list.every(({ name }) => typeof name === "string")) return list;
  } catch {
    // said below
  }
  throw new Error(`cannot tell the rails of ${what}: its network-status is not what Multus writes`);
}
