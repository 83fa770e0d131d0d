import type { Log } from "../../cni/host.ts";
import { ApiError, type Cluster, type KubeObject, type Resource, type WatchEvent } from "../../kubernetes/cluster.ts";
import { Informer, type InformerOptions } from "../../kubernetes/informer.ts";
import { Fleet } from "./fleet.ts";
import type { Refusals } from "./refusals.ts";

export interface FollowOptions<T> extends Omit<InformerOptions<T>, "onError"> {
  /** What is kept of an object. Must include name, namespace, UID and resourceVersion. Default: all. */
  readonly keep?: (object: KubeObject) => T;
  /** Called when a watch has ended, so that the server may be another one, and when it is known not to be. */
  readonly onVerified?: (isVerified: boolean) => void;
}

/** What following needs from its context. */
export interface FollowContext {
  readonly cluster: Cluster;
  readonly log: Log;
  readonly refusals?: Refusals;
  readonly fleet?: Fleet;
}

/**
 * Follows objects of one kind, without end. A server that does not answer concerns everybody; one that refuses concerns
 * this agent: that is a warning, once, and is kept in `refusals` until it is over.
 */
export function follow<T extends KubeObject>(
  { cluster, log, refusals, fleet = new Fleet() }: FollowContext,
  resource: Resource,
  { keep = (object) => object as T, onVerified = () => {}, ...options }: FollowOptions<T>,
): Informer<T> {
  const { fieldSelector = "", labelSelector = "", signal } = options;
  const what = [resource.plural, fieldSelector, labelSelector].filter(Boolean).join(" ");
  const onError = (err: Error) => {
    if (isRefusal(err) && refusals?.say(what, err.message) !== false)
      return log.warn(
        { err, resource: resource.plural },
        "the API server refuses a watch that this agent needs; retrying",
      );
    log.debug({ err, resource: resource.plural }, "watch failed; retrying");
  };
  const onWell = () => {
    if (refusals?.over(what)) log.info({ resource: resource.plural }, "the API server allows the watch again");
  };
  signal.addEventListener("abort", () => refusals?.over(what), { once: true });
  return Informer.start<T>(keeping(verifying(cluster, onVerified), keep), resource, {
    onError,
    onWell,
    spreadMs: () => fleet.spreadMs,
    ...options,
  });
}

/** These change only when somebody acts: 404 means that the resource is not served. */
const isRefusal = (error: Error): boolean => error instanceof ApiError && [401, 403, 404].includes(error.status);

/** An informer lists after every watch that ended early, and first reports if versions went backwards. */
function verifying(cluster: Cluster, onVerified: (isVerified: boolean) => void): Pick<Cluster, "list" | "watch"> {
  return {
    async list(resource, selection) {
      try {
        const listed = await cluster.list(resource, selection as never);
        setImmediate(() => onVerified(true)); // after the informer has examined it
        return listed as never;
      } catch (error) {
        if (isRefusal(error as Error)) onVerified(true); // as verified as it will ever be
        throw error;
      }
    },
    async *watch<E extends KubeObject>(...args: Parameters<Cluster["watch"]>) {
      onVerified(true);
      try {
        yield* cluster.watch<E>(...args);
      } finally {
        onVerified(false);
      }
    },
  };
}

/** Passes the objects through `keep` one by one as they arrive: many whole ones would fill the memory. */
function keeping<T extends KubeObject>(
  cluster: Pick<Cluster, "list" | "watch">,
  keep: (object: KubeObject) => T,
): Cluster {
  const lists: Pick<Cluster, "list" | "watch"> = {
    list: (resource, selection) => cluster.list(resource, { ...selection, keep: keep as never }),
    async *watch<E extends KubeObject>(...args: Parameters<Cluster["watch"]>) {
      for await (const event of cluster.watch<E>(...args))
        yield event.type === "BOOKMARK"
          ? event
          : ({ ...event, object: keep(event.object) } as unknown as WatchEvent<E>);
    },
  };
  return lists as Cluster;
}
