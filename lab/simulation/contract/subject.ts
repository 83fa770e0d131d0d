// biome-ignore lint/suspicious/noExplicitAny: what the server sent, as it is
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly body: Json;
}

export interface RequestOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
}

/** A real API server, or the model of one. */
export interface Subject {
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** The lines of a watch that ends by itself or after `ms`. @param during runs when it has begun. */
  watch(
    path: string,
    ms: number,
    during?: () => Promise<unknown>,
  ): Promise<{ readonly status: number; readonly lines: readonly Json[] }>;
  /** The server starts anew: its watch cache forgets, and all watches end. */
  restart(): Promise<void>;
  /** Deletes the definition of reservations. Returns when nobody serves them any more. */
  unserve(): Promise<void>;
  /** Makes it again. Returns when they are served. */
  serve(): Promise<void>;
}

/** A case says what it saw; the real server has said `want`. */
export interface Case {
  readonly name: string;
  readonly look: (subject: Subject) => Promise<unknown>;
  readonly want: unknown;
}

const ROOT = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";
export const RESERVATIONS = `${ROOT}/overlappingrangeipreservations`;
export const POOLS = `${ROOT}/ippools`;
export const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
export const NOTHINGS = `${ROOT}/nothings`;

const META = "as=PartialObjectMetadata";
export const AS_METADATA = `application/json;${META};g=meta.k8s.io;v=v1`;
export const AS_METADATA_LIST = `application/json;${META}List;g=meta.k8s.io;v=v1`;

export const reservation = (name: string, labels?: Readonly<Record<string, string>>) => ({
  apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
  kind: "OverlappingRangeIPReservation",
  metadata: { name, ...(labels && { labels }) },
  spec: { podref: "team/a", ifname: "net1", containerid: "c1" },
});

export const onNode = (node: string) => ({ "railnet.io/node": node });

export const pool = (name: string, allocations: object = {}) => ({
  apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
  kind: "IPPool",
  metadata: { name },
  spec: { range: "10.0.0.0/24", allocations },
});

/** What of an answer a client looks at. */
export function brief({ status, body }: Answer): object {
  if (typeof body === "string") return { status, text: body.trim().slice(0, 40) };
  if (body?.kind !== "Status") return { status, kind: body?.kind };
  const name = body.details?.name;
  return { status, reason: body.reason ?? body.status, ...(name && { name }) };
}

export const versionOf = ({ body }: Answer): number => Number(body.metadata.resourceVersion);
export const patch = (subject: Subject, path: string, body: unknown): Promise<Answer> =>
  subject.request("PATCH", path, { contentType: "application/json-patch+json", body });
export const merge = (subject: Subject, path: string, body: unknown): Promise<Answer> =>
  subject.request("PATCH", path, { contentType: "application/merge-patch+json", body });
