import { dateOf } from "../clock.ts";
import type { KubeObject, Resource } from "../cluster.ts";

/** The object that something happened to. */
export interface About {
  readonly resource: Resource;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
  /** `kubectl describe` finds a pod's events by it. */
  readonly uid?: string;
}

/** Something that an operator should see on an object with `kubectl describe`. */
export interface EventRequest {
  readonly about: About;
  readonly type: "Normal" | "Warning";
  /** In upper camel case, for `--field-selector reason=…`. */
  readonly reason: string;
  /** One line. */
  readonly message: string;
  /** Events with the same value are counted as one; default: the message. */
  readonly sameness?: string;
}

/** How often it happened, and the first and last time by `performance.now()`. */
export interface Times {
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** `events`, v1. */
export interface KubeEvent extends KubeObject {
  readonly involvedObject: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
    readonly uid?: string;
  };
  readonly reason: string;
  readonly message: string;
  readonly type: "Normal" | "Warning";
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly count: number;
  readonly source: { readonly component: string; readonly host: string };
}

/** The limit by convention of core/v1; the API of events.k8s.io refuses more. */
const MAX_MESSAGE = 1024;

/** Pure but for the name, which must be new. */
export function toKubeEvent({ about, type, reason, message }: EventRequest, times: Times, node: string): KubeEvent {
  const { resource, namespace, name, uid } = about;
  const { group, version, kind } = resource;
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: {
      name: `${name}.${crypto.randomUUID().replaceAll("-", "").slice(-16)}`,
      namespace: namespace || "default",
    },
    involvedObject: {
      apiVersion: group ? `${group}/${version}` : version,
      kind,
      name,
      ...(namespace && { namespace }),
      ...(uid && { uid }),
    },
    reason,
    type,
    firstTimestamp: timestamp(times.firstMs),
    source: { component: "railnet", host: node },
    ...again(message, times),
  };
}

/** The fields that change when the same event happens again. */
export const again = (
  message: string,
  { count, lastMs }: Times,
): Pick<KubeEvent, "message" | "lastTimestamp" | "count"> => ({
  message: oneLine(message),
  lastTimestamp: timestamp(lastMs),
  count,
});

/** metav1.Time has whole seconds. */
const timestamp = (ms: number): string =>
  dateOf(ms)
    .toISOString()
    .replace(/\.\d+Z$/, "Z");

function oneLine(message: string): string {
  const line = message.replace(/[\x00-\x1f\x7f]+/g, " ");
  return line.length > MAX_MESSAGE ? `${line.slice(0, MAX_MESSAGE - 1)}…` : line;
}
