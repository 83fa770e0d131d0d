/** Where objects of one kind are served. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** A part of an object with a path, and rights, of its own. */
  readonly subresource?: "status";
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
  }[];
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** RFC 6902. On the real server `test` with null passes for a missing key; one failing operation fails the whole patch with 422. */
export type JsonPatch = readonly (
  | { readonly op: "test" | "add" | "replace"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string }
)[];

export interface WatchEvent<T extends KubeObject> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: T;
}

export interface Selection {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Returns only metadata (PartialObjectMetadata): `spec` and `status` are absent. */
  readonly metadataOnly?: boolean;
  /** Default: the cluster's. Empty: all namespaces. */
  readonly namespace?: string;
  readonly signal?: AbortSignal | undefined;
}
export type At = Pick<Selection, "namespace" | "signal" | "metadataOnly">;

/**
 * The API server, as far as Railnet uses it. The only retries are of requests that cannot have been executed (connection
 * refused, 401 once with credentials read afresh, 429 after its Retry-After) and of reads whose connection broke, within
 * the time limit of one call.
 *
 * @throws {ApiError} from every method.
 */
export interface Cluster {
  /** Of the Whereabouts objects: the kubeconfig context's, else `kube-system`. */
  readonly namespace: string;
  /** Undefined if the object does not exist (404); a resource that is not served at all is an error. A quorum read, unless `fromCache`. */
  get<T extends KubeObject>(
    resource: Resource,
    name: string,
    at?: At & { readonly fromCache?: boolean },
  ): Promise<T | undefined>;
  /**
   * All pages. `fromCache` allows the server's watch cache (resourceVersion=0): cheap, possibly stale, and in one page.
   * `keep` reduces each object to what is needed of it, page by page: many whole objects would fill the memory.
   */
  list<T extends KubeObject>(
    resource: Resource,
    selection?: Selection & { readonly fromCache?: boolean; readonly keep?: (object: KubeObject) => T },
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }>;
  /** How many there are, from a list with a limit of one. */
  count(resource: Resource, at?: At): Promise<number>;
  /** Fails with status 409 and reason `AlreadyExists` if the name is taken. A dry run creates nothing, and answers as if it had. */
  create<T extends KubeObject>(resource: Resource, object: T, at?: At & { readonly isDryRun?: boolean }): Promise<T>;
  /** With `at.metadataOnly` the answer is small even for a large object. */
  patch<T extends KubeObject>(resource: Resource, name: string, patch: JsonPatch, at?: At): Promise<T>;
  /** RFC 7386. */
  mergePatch<T extends KubeObject>(resource: Resource, name: string, patch: object, at?: At): Promise<T>;
  replace<T extends KubeObject>(resource: Resource, object: T, at?: At): Promise<T>;
  /** @returns false for 404. Fails with status 409 if the preconditions do not hold. */
  delete(
    resource: Resource,
    name: string,
    preconditions?: { readonly uid?: string; readonly resourceVersion?: string },
    at?: At,
  ): Promise<boolean>;
  /** Events of one connection, until the server or `signal` ends it. 410 "Gone" is an ApiError: list again. */
  watch<T extends KubeObject>(
    resource: Resource,
    from: Selection & { readonly resourceVersion: string },
  ): AsyncIterable<WatchEvent<T>>;
}

/** Branch on `status`, `reason` and `isUnclear`, never on the message. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** metav1.Status.reason, such as `AlreadyExists`, `Conflict`, `Invalid`, `Forbidden`; empty without an answer. */
  readonly reason: string;
  /** A write that may have been executed nevertheless: no answer after it was sent, 500, 504. */
  readonly isUnclear: boolean;

  constructor(message: string, { status = 0, reason = "", isUnclear = false, cause = undefined as unknown } = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.status = status;
    this.reason = reason;
    this.isUnclear = isUnclear;
  }
}

const whereabouts = (plural: string, kind: string): Resource => ({
  group: "whereabouts.cni.cncf.io",
  version: "v1alpha1",
  plural,
  kind,
  namespaced: true,
});
export const IP_POOLS = whereabouts("ippools", "IPPool");
export const RESERVATIONS = whereabouts("overlappingrangeipreservations", "OverlappingRangeIPReservation");
export const NODE_SLICE_POOLS = whereabouts("nodeslicepools", "NodeSlicePool");

const core = (plural: string, kind: string, namespaced = true): Resource => ({
  group: "",
  version: "v1",
  plural,
  kind,
  namespaced,
});
export const PODS = core("pods", "Pod");
export const NODES = core("nodes", "Node", false);
export const NAMESPACES = core("namespaces", "Namespace", false);
export const CONFIG_MAPS = core("configmaps", "ConfigMap");
export const EVENTS = core("events", "Event");
export const DEFINITIONS: Resource = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
};
export const LEASES: Resource = {
  group: "coordination.k8s.io",
  version: "v1",
  plural: "leases",
  kind: "Lease",
  namespaced: true,
};
